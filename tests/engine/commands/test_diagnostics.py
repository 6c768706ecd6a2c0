from __future__ import annotations

import threading

from engine import __version__
from engine.commands import diagnostics
from engine.requests import DiagnosticsRequest


def test_it_says_what_a_helper_asks_first(recorder):
    told = diagnostics.run(DiagnosticsRequest(), recorder, threading.Event())
    assert told["engine"] == __version__
    assert told["devices"][0]["device"] == "cpu"
    assert told["memory_gb"] > 0
    assert told["packages"]["torch"]
    assert told["packages"]["openvino"]
    assert recorder.logs
