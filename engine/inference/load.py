"""The right predictor for a model, a device and a precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import DeviceError, EngineError
from engine.events import Reporter
from engine.inference.graph import Graph, cached_graph, export_graph
from engine.inference.predictor import Head, Precision, Predictor
from engine.models.resolve import ResolvedModel

if TYPE_CHECKING:
    from engine.inference.openvino_predictor import OpenVinoPredictor
    from engine.inference.season_ground import SeasonGround

WantedPrecision = Literal["auto", "exact", "half", "int8"]
Images = npt.NDArray[np.generic]


@dataclass(frozen=True)
class LoadedPredictor:
    """A predictor, and what is known of its arithmetic.

    Args:
        predictor: The network on its device.
        agreement: With half or int8 on the CPU, the share of pixels (0 to 1) of this image on which it
            gives the same class as the exact network; None otherwise.
        graph: The graph that runs on the CPU, None for a network that runs in torch.
    """

    predictor: Predictor
    agreement: float | None = None
    graph: Path | None = None


def load_predictor(
    model: ResolvedModel,
    device: str,
    precision: WantedPrecision,
    head: Head,
    samples: Sequence[Images],
    *,
    pixels: int,
    threads: int | None,
    reporter: Reporter,
    season: SeasonGround | None = None,
) -> LoadedPredictor:
    """Load a model onto a device.

    Args:
        model: The model.
        device: `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` is exact on the CPU and half on a GPU.
        head: What to compute per pixel.
        samples: Windows of the image, (1, C, H, W) with sides of multiples of 32, to calibrate int8 on and to
            measure the agreement with the exact network.
        pixels: Pixels to classify in all.
        threads: CPU threads, None for all.
        reporter: Told what is prepared.
        season: The season under the image, for a model that looks at it.

    Raises:
        DeviceError: The device or its arithmetic is absent.
        ModelError: The model cannot be used.
    """
    if device != "cpu" or season is not None:
        return LoadedPredictor(load_in_torch(model, device, precision, head, pixels, threads, reporter, season))
    chosen: Precision = "exact" if precision == "auto" else precision
    graph = cached_graph(model)
    if graph is None:
        try:
            graph = export_graph(model, reporter)
        except EngineError:
            raise
        except Exception as error:
            return _uncompiled(model, chosen, head, threads, reporter, error)
    if chosen == "exact":
        predictor = load_graph(model, graph.path, graph.bytes_per_pixel, head, chosen, threads)
        return LoadedPredictor(predictor, None, graph.path)
    return _approximate(model, graph, head, chosen, samples, threads, reporter)


def load_in_torch(
    model: ResolvedModel,
    device: str,
    precision: WantedPrecision,
    head: Head,
    pixels: int,
    threads: int | None,
    reporter: Reporter,
    season: SeasonGround | None = None,
) -> Predictor:
    """Load a model onto a device without a graph; see `load_predictor`.

    Raises:
        DeviceError: The device or its arithmetic is absent.
        ModelError: The model cannot be used.
    """
    from engine.inference.torch_predictor import TorchPredictor

    chosen: Precision = ("exact" if device == "cpu" else "half") if precision == "auto" else precision
    if season is not None:
        from engine.inference.season_predictor import SeasonPredictor

        if chosen == "int8":
            raise DeviceError(
                f"'{model.manifest.name}' looks at a season and cannot be quantised.", "Use the precision 'exact'."
            )
        return SeasonPredictor(
            model, device, season, head=head, precision=chosen, pixels=pixels, reporter=reporter, threads=threads
        )
    return TorchPredictor(model, device, head=head, precision=chosen, pixels=pixels, reporter=reporter, threads=threads)


def load_graph(
    model: ResolvedModel, path: Path, bytes_per_pixel: float, head: Head, precision: Precision, threads: int | None
) -> OpenVinoPredictor:
    """Load a graph for the CPU.

    Args:
        model: The model that it was made of.
        path: The graph.
        bytes_per_pixel: Working memory per pixel of a window.
        head: What to compute per pixel.
        precision: Arithmetic; `int8` needs a quantised graph.
        threads: CPU threads, None for all.

    Raises:
        DeviceError: This CPU cannot do the precision.
        ModelError: The graph cannot be read.
    """
    from engine.inference.openvino_predictor import OpenVinoPredictor

    return OpenVinoPredictor(
        path,
        model.manifest.nomenclature,
        head=head,
        precision=precision,
        threads=threads,
        bytes_per_pixel=bytes_per_pixel,
    )


def _approximate(
    model: ResolvedModel,
    graph: Graph,
    head: Head,
    precision: Precision,
    samples: Sequence[Images],
    threads: int | None,
    reporter: Reporter,
) -> LoadedPredictor:
    """Load a predictor that is faster than the exact one, and measure how well it agrees with it."""
    from engine.inference.quantise import (
        CHECKED_WINDOWS,
        GOOD_AGREEMENT,
        agreement,
        cached_quantised_graph,
        calibrated_on,
        quantise,
    )

    checked, calibration = samples[:CHECKED_WINDOWS], samples[CHECKED_WINDOWS:] or samples
    exact = load_graph(model, graph.path, 0.0, "codes", "exact", threads)
    cached = cached_quantised_graph(graph) if precision == "int8" else None
    path = graph.path if precision == "half" else cached or quantise(graph, calibration, reporter)

    def predictor(head: Head) -> OpenVinoPredictor:
        return load_graph(model, path, graph.bytes_per_pixel / 2, head, precision, threads)

    share = agreement(exact, predictor("codes"), checked)
    if cached and share < GOOD_AGREEMENT and not calibrated_on(graph, calibration):
        path = quantise(graph, calibration, reporter, replace=True)
        share = agreement(exact, predictor("codes"), checked)
    reporter.log(f"'{precision}' gives the same class as 'exact' on {share:.2%} of the pixels looked at.")
    if share < GOOD_AGREEMENT:
        reporter.warning(
            f"'{precision}' changes the class of {1 - share:.1%} of the pixels; use 'exact' where that matters."
        )
    return LoadedPredictor(predictor(head), share, path)


def _uncompiled(
    model: ResolvedModel,
    precision: Precision,
    head: Head,
    threads: int | None,
    reporter: Reporter,
    error: Exception,
) -> LoadedPredictor:
    """Fall back to torch where a network cannot be exported."""
    if precision == "int8":
        raise DeviceError(
            f"The network of '{model.manifest.name}' cannot be quantised ({type(error).__name__}).",
            "Use the precision 'exact'.",
        ) from error
    reporter.warning(f"The network cannot be exported ({type(error).__name__}); it runs in torch, which is slower.")
    return LoadedPredictor(load_in_torch(model, "cpu", precision, head, 0, threads, reporter))
