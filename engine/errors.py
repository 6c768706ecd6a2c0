"""Failures that a person can act upon."""

from __future__ import annotations

from typing import Any, Literal

ErrorKind = Literal["request", "input", "model", "output", "device", "memory", "cancelled", "internal"]

EXIT_CODES: dict[ErrorKind, int] = {
    "internal": 1,
    "request": 2,
    "input": 3,
    "model": 4,
    "output": 5,
    "device": 6,
    "memory": 7,
    "cancelled": 130,
}

# The run went well, and its result says that something is wrong with what was looked at.
FAULTS_FOUND = 8


class FaultyResult(dict[str, Any]):
    """The values of a result that found faults: complete, but the process ends with `FAULTS_FOUND` instead of 0."""


class EngineError(Exception):
    """A failure with its cause and the way out.

    Args:
        kind: What the failure concerns; decides the exit code.
        message: One sentence that names the cause.
        hint: One sentence that names the way out; may be empty.
    """

    def __init__(self, kind: ErrorKind, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message
        self.hint = hint

    @property
    def exit_code(self) -> int:
        """Process exit code, never 0."""
        return EXIT_CODES[self.kind]

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RequestError(EngineError):
    """The request itself is wrong: an unknown key, a bad value, two options that exclude each other."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("request", message, hint)


class InputError(EngineError):
    """An input raster, vector or table cannot be used."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("input", message, hint)


class ModelError(EngineError):
    """A model file or checkpoint cannot be used."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("model", message, hint)


class OutputError(EngineError):
    """An output cannot be written."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("output", message, hint)


class DeviceError(EngineError):
    """The device that was asked for is absent or unusable."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("device", message, hint)


class OutOfMemoryError(EngineError):
    """Not even the smallest step fits into memory."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("memory", message, hint)


class Cancelled(EngineError):  # noqa: N818 - a state, not an error
    """The person, or the process that started us, asked to stop."""

    def __init__(self, message: str = "Cancelled.", hint: str = "") -> None:
        super().__init__("cancelled", message, hint)
