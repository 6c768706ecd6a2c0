"""Requests: the one definition of every command's options.

The QGIS algorithms, the YAML files and the command line are all views of these
models. An unknown key is an error that names the key and its nearest valid one.
"""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from engine.errors import RequestError
from engine.requests.base import Request
from engine.requests.classify import ClassifyRequest
from engine.requests.datasets import DatasetCheckRequest, DatasetDownloadRequest, ExtractPatchesRequest
from engine.requests.evaluate import BenchmarkRequest, EvaluateRequest
from engine.requests.ign import FlairDetectRequest, FlairRequest
from engine.requests.inputs import PrepareInputRequest
from engine.requests.maps import AreaStatisticsRequest, ChangeRequest, PolygoniseRequest, RemapClassesRequest
from engine.requests.models import DiagnosticsRequest, ModelsDownloadRequest, ModelsRequest
from engine.requests.planning import PlanRequest
from engine.requests.time_series import PrepareTimeSeriesRequest
from engine.requests.train import TrainRequest

__all__ = [
    "COMMANDS",
    "AreaStatisticsRequest",
    "BenchmarkRequest",
    "ChangeRequest",
    "ClassifyRequest",
    "DatasetCheckRequest",
    "DatasetDownloadRequest",
    "DiagnosticsRequest",
    "EvaluateRequest",
    "ExtractPatchesRequest",
    "FlairDetectRequest",
    "FlairRequest",
    "ModelsDownloadRequest",
    "ModelsRequest",
    "PlanRequest",
    "PolygoniseRequest",
    "PrepareInputRequest",
    "PrepareTimeSeriesRequest",
    "RemapClassesRequest",
    "Request",
    "TrainRequest",
    "parse_request",
]

COMMANDS: dict[str, type[Request]] = {
    "dataset-download": DatasetDownloadRequest,
    "dataset-check": DatasetCheckRequest,
    "prepare-input": PrepareInputRequest,
    "prepare-time-series": PrepareTimeSeriesRequest,
    "extract-patches": ExtractPatchesRequest,
    "train": TrainRequest,
    "plan": PlanRequest,
    "classify": ClassifyRequest,
    "evaluate": EvaluateRequest,
    "benchmark": BenchmarkRequest,
    "polygonise": PolygoniseRequest,
    "area-statistics": AreaStatisticsRequest,
    "remap-classes": RemapClassesRequest,
    "change": ChangeRequest,
    "flair": FlairRequest,
    "flair-detect": FlairDetectRequest,
    "models": ModelsRequest,
    "models-download": ModelsDownloadRequest,
    "diagnostics": DiagnosticsRequest,
}


def parse_request(command: str, values: dict[str, Any]) -> Request:
    """Check plain values against a command's request.

    Raises:
        RequestError: The command or a key is unknown, or a value is wrong; the message names it.
    """
    if command not in COMMANDS:
        raise RequestError(f"There is no command '{command}'.", _nearest(command, list(COMMANDS)))
    model = COMMANDS[command]
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _request_error(model, error) from error


def _request_error(model: type[Request], error: ValidationError) -> RequestError:
    problems: list[str] = []
    hints: list[str] = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"Unknown option '{key}'.")
            hints.append(_nearest(key, list(model.model_fields)))
        elif item["type"] == "missing":
            problems.append(f"The option '{key}' is missing.")
        else:
            text = item["msg"].removeprefix("Value error, ")
            problems.append(f"Option '{key}': {text}." if key else f"{text[:1].upper()}{text[1:]}.")
    return RequestError(" ".join(problems), " ".join(hint for hint in hints if hint))


def _nearest(key: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(key, valid, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Valid ones: {', '.join(sorted(valid))}."
