"""Classify a raster as one of IGN's own configuration files says."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from engine.commands import classify
from engine.errors import EngineError, RequestError
from engine.events import Reporter
from engine.ign.detection import Detection
from engine.ign.flair1_detect import read_flair1_detect
from engine.ign.hub_zonal import is_hub_zonal, read_hub_zonal
from engine.ign.model_import import import_model, load_weights
from engine.ign.published_tiling import check_defined, detect_as_published
from engine.ign.zero_based import write_class_probabilities, write_indices
from engine.inference.device import choose_device
from engine.rasters.disk import output_error
from engine.rasters.staged_output import check_overwrite, check_writable
from engine.requests import ClassifyRequest, FlairDetectRequest
from engine.yaml_file import read_yaml


def run(request: FlairDetectRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Classify a raster.

    Args:
        request: The configuration file, and whether the published behaviour is wanted to the bit.
        reporter: Told what was understood, what is done better, and what cannot be done.
        cancelled: Set to stop; finished tiles are kept for the next run, but with the published behaviour.

    Returns:
        Path of the output, seconds, device.

    Raises:
        EngineError: Something is wrong with the file, or with what it names.
    """
    began = time.monotonic()
    file = read_yaml(Path(request.conf).expanduser())
    wanted = read_hub_zonal(file) if is_hub_zonal(file.values) else read_flair1_detect(file)
    for text in wanted.notes:
        reporter.log(text)
    for text in wanted.warnings:
        reporter.warning(text)
    check_writable(wanted.output)
    check_overwrite(wanted.output, overwrite=request.overwrite)
    # IGN's tools take the CPU where no GPU is there; so does "auto".
    device = request.device if wanted.gpu or request.device != "auto" else "cpu"
    if request.published_behaviour:
        values = _as_published(request, wanted, choose_device(device, reporter), reporter, cancelled)
    else:
        values = _our_way(request, wanted, device, reporter, cancelled)
    reporter.progress(1.0, "Done", 0.0)
    return {"output": str(wanted.output), **values, "seconds": round(time.monotonic() - began, 2)}


def _as_published(
    request: FlairDetectRequest, wanted: Detection, device: str, reporter: Reporter, cancelled: threading.Event
) -> dict[str, Any]:
    if wanted.hub:
        raise RequestError(
            "The published behaviour is reproduced for FLAIR-1's files only, not for FLAIR-HUB's.",
            "Leave --published-behaviour out.",
        )
    check_defined(wanted, reporter)
    reporter.log(
        f"As published: windows of {wanted.side} pixels with a margin of {wanted.margin}, zeros beyond the raster, "
        "no class masked, nodata classified like any other pixel."
    )
    import torch

    if request.threads:
        torch.set_num_threads(request.threads)
    network = load_weights(wanted.weights, wanted.manifest())
    detect_as_published(wanted, network, device, overwrite=request.overwrite, reporter=reporter, cancelled=cancelled)
    return {"device": device}


def _our_way(
    request: FlairDetectRequest, wanted: Detection, device: str, reporter: Reporter, cancelled: threading.Event
) -> dict[str, Any]:
    _tell(wanted, reporter)
    folder = wanted.output.with_name(f".{wanted.output.name}.detect")
    keep = False
    try:
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error
        model = folder / "model.safetensors"
        import_model(wanted.weights, wanted.manifest(), model)
        classes, shares = folder / "classes.tif", folder / "probabilities.tif"
        result = classify.run(
            ClassifyRequest.model_validate(
                {
                    "model": str(model),
                    "input": [str(wanted.image)],
                    "output": str(classes),
                    "probabilities": str(shares) if wanted.output_type == "class_prob" else None,
                    "bands": wanted.channels.by_name,
                    "device": device,
                    "threads": request.threads,
                    # IGN's tools take any image; what looks wrong is said.
                    "allow_scale": True,
                    "allow_range": True,
                    "overwrite": True,
                }
            ),
            reporter,
            cancelled,
        )
        written: dict[str, Any] = {"overwrite": request.overwrite, "cancelled": cancelled}
        if wanted.output_type == "class_prob":
            write_class_probabilities(shares, wanted.output, wanted.nomenclature, **written)
        else:
            write_indices(classes, wanted.output, wanted.nomenclature, **written)
    except EngineError:
        # Finished tiles lie in folders of their own; without any there is nothing to go on from.
        keep = folder.is_dir() and any(item.is_dir() for item in folder.iterdir())
        raise
    finally:
        if not keep:
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
    codes = {item.code: index for index, item in enumerate(wanted.nomenclature.classes)}
    return {
        "classes": {str(codes[int(code)]): pixels for code, pixels in result["classes"].items()},
        "device": result["device"],
    }


def _tell(wanted: Detection, reporter: Reporter) -> None:
    reporter.log(
        f"Windows of {wanted.side} pixels with a margin of {wanted.margin}, {wanted.batch_size} at once, are not "
        "needed: as large ones as the memory holds are computed, with real neighbours or reflected pixels at the edge, "
        "and none without data. --published-behaviour keeps to the file."
    )
    never = ", ".join(item.name for item in wanted.nomenclature.classes if item.disabled)
    if never:
        reporter.log(f"Classes that were not learnt never win: {never}.")
    if wanted.output_type == "class_prob":
        reporter.log("Probabilities are rounded to whole per cents and written as 0 to 255; no data is 0 in all bands.")
    else:
        reporter.log("The result holds class indices from 0, and 255 where the image has no data.")
