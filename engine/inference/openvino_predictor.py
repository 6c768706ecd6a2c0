"""Prediction on the CPU with OpenVINO."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from engine.errors import DeviceError, ModelError
from engine.inference.predictor import Head, Precision, Prediction
from engine.inference.views import View
from engine.nomenclature import Nomenclature

# Turned windows have two shapes.
COMPILED_SHAPES = 2
PRECISION_HINT: dict[Precision, str] = {"exact": "f32", "half": "bf16", "int8": "f32"}


class OpenVinoPredictor:
    """A graph compiled for this CPU, one batch at a time on all threads.

    Args:
        path: Graph: (N, C, H, W) float32 to (N, K, H, W) logits of the enabled classes.
        nomenclature: Classes; its enabled ones are the graph's outputs, in order.
        head: What to compute per pixel.
        precision: Arithmetic; `int8` needs a quantised graph.
        threads: CPU threads, None for all.
        bytes_per_pixel: Working memory per pixel of a window.

    Raises:
        DeviceError: This CPU cannot do the precision asked for.
        ModelError: The graph cannot be read.
    """

    device = "cpu"

    def __init__(
        self,
        path: Path,
        nomenclature: Nomenclature,
        *,
        head: Head = "codes",
        precision: Precision = "exact",
        threads: int | None = None,
        bytes_per_pixel: float = 0.0,
    ) -> None:
        self.precision: Precision = precision
        self.bytes_per_pixel = bytes_per_pixel
        self._head = head
        self._nomenclature = nomenclature
        self._core = ov.Core()
        if precision == "half" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise DeviceError(
                "This CPU has no 16-bit arithmetic that would be faster.", "Use the precision 'exact' or 'int8'."
            )
        self._options: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINT[precision],
            "NUM_STREAMS": 1,
            # Each process would pin its threads to the first cores, and several would share those.
            "ENABLE_CPU_PINNING": False,
            **({"INFERENCE_NUM_THREADS": threads} if threads else {}),
        }
        try:
            self._graph = self._core.read_model(path)
        except RuntimeError as error:
            raise ModelError(
                f"The prepared model '{path}' cannot be read.", "Delete its folder and try again."
            ) from error
        self._requests: OrderedDict[tuple[tuple[int, ...], np.dtype[np.generic]], ov.InferRequest] = OrderedDict()

    def predict(self, images: npt.NDArray[np.generic], views: Sequence[View] = ()) -> Prediction:
        """See `Predictor`."""
        try:
            outputs = self._request(images).infer({0: np.ascontiguousarray(images)})
        except RuntimeError as error:
            if _is_out_of_memory(error):
                self._requests.clear()
                raise MemoryError(str(error)) from error
            raise
        # The request owns its output memory and reuses it in the next call.
        results = [np.array(values) for values in outputs.values()]
        if self._head == "probabilities":
            return Prediction(probabilities=results[0])
        return Prediction(codes=results[0], confidence=results[1] if self._head == "confidence" else None)

    def _request(self, images: npt.NDArray[np.generic]) -> ov.InferRequest:
        """Return the graph compiled for a shape: that takes half the memory of one compiled for any shape."""
        key = (images.shape, images.dtype)
        if key in self._requests:
            self._requests.move_to_end(key)
            return self._requests[key]
        while len(self._requests) >= COMPILED_SHAPES:
            self._requests.popitem(last=False)
        model = _with_head(self._graph.clone(), self._nomenclature, self._head)
        model.reshape(list(images.shape))
        if images.dtype == np.uint8:
            preprocessing = ov.preprocess.PrePostProcessor(model)
            preprocessing.input(0).tensor().set_element_type(ov.Type.u8)
            model = preprocessing.build()
        self._requests[key] = self._core.compile_model(model, "CPU", self._options).create_infer_request()
        return self._requests[key]


def _is_out_of_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(word in text for word in ("bad_alloc", "out of memory", "not enough memory", "cannot allocate"))


def _with_head(model: ov.Model, nomenclature: Nomenclature, head: Head) -> ov.Model:
    logits = model.output(0).get_node().input_value(0)
    axis = ops.constant(np.int64(1))
    results = []
    if head == "probabilities":
        results.append(ops.softmax(logits, 1))
    else:
        codes = np.array([item.code for item in nomenclature.enabled], dtype=np.int32)
        best = ops.topk(logits, ops.constant(np.int64(1)), 1, "max", "none", index_element_type="i32")
        winner = ops.squeeze(best.output(1), axis)
        results.append(ops.convert(ops.gather(ops.constant(codes), winner, ops.constant(np.int64(0))), "u8"))
    if head == "confidence":
        highest = ops.squeeze(ops.reduce_max(ops.softmax(logits, 1), axis, keep_dims=True), axis)
        percent = ops.round(ops.multiply(highest, ops.constant(np.float32(100.0))), "half_to_even")
        results.append(ops.convert(percent, "u8"))
    return ov.Model([ops.result(item) for item in results], model.get_parameters(), "classifier")
