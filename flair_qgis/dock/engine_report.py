"""What the report of flair:diagnostics says of the engine."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

_ENGINE_PYTHON = re.compile(r"^(?P<path>.+) \((?P<origin>setting|variable|managed|checkout)\)$")
_DEVICE = re.compile(r"^engine\.devices\[(\d+)\]\.(name|device|memory_gb)$")
_MODEL = re.compile(r"^engine\.models\[\d+\]$")


class EngineState(NamedTuple):
    """The engine as it was found.

    Args:
        works: Whether it started and told its versions.
        python: Its interpreter; empty when there is none.
        origin: Who names that: `setting`, `variable`, `managed` or `checkout`.
        version: Version of the engine; empty when it does not work.
        problem: Why it does not work; empty when it does.
        devices: What can compute, a text each.
        memory_gb: Free memory in GB, None when not told.
        models: Names of the catalogue's models that lie on this computer.
        report: The whole report.
    """

    works: bool
    python: str = ""
    origin: str = ""
    version: str = ""
    problem: str = ""
    devices: Tuple[str, ...] = ()
    memory_gb: Optional[float] = None
    models: FrozenSet[str] = frozenset()
    report: str = ""


def read_report(report: str) -> EngineState:
    """Return the state of the engine that a report tells.

    Args:
        report: Text with one `name: value` a line, as flair:diagnostics writes it.
    """
    rows: Dict[str, str] = {}
    for line in report.splitlines():
        name, _, value = line.partition(": ")
        rows[name] = value
    found = _ENGINE_PYTHON.match(rows.get("Engine Python", ""))
    python, origin = (found["path"], found["origin"]) if found else ("", "")
    words = rows.get("Engine", "")
    # only an engine that started tells which Python it runs in
    if "engine.python" not in rows:
        return EngineState(False, python, origin, problem=words, report=report)
    return EngineState(
        True,
        python,
        origin,
        version=words,
        devices=_devices(rows),
        memory_gb=_number(rows.get("engine.memory_gb")),
        models=frozenset(value for name, value in rows.items() if _MODEL.match(name)),
        report=report,
    )


def _devices(rows: Dict[str, str]) -> Tuple[str, ...]:
    devices: Dict[int, Dict[str, str]] = {}
    for name, value in rows.items():
        found = _DEVICE.match(name)
        if found:
            devices.setdefault(int(found[1]), {})[found[2]] = value
    texts: List[str] = []
    for number in sorted(devices):
        item = devices[number]
        name, device = item.get("name", ""), item.get("device", "")
        title = f"{name} ({device})" if name and device and name != device else name or device
        memory = _number(item.get("memory_gb"))
        texts.append(title if memory is None else f"{title}, {memory:g} GB")
    return tuple(texts)


def _number(text: Optional[str]) -> Optional[float]:
    try:
        return float(text or "")
    except ValueError:
        return None
