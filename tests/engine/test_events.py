from __future__ import annotations

import io
import json
import subprocess
import sys
import threading

import pytest

from engine.events import ConsoleReporter, JsonReporter, format_duration
from tests.engine import tiny


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_event_is_one_line_of_json():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    reporter.log("two\nlines é")
    reporter.warning("careful")
    reporter.progress(0.51234567, "half", 3.14159)
    reporter.progress(1.0)
    reporter.result({"output": "o.tif", "classes": {"1": 2}})
    reporter.error("input", "It is so.", "Do this.")
    assert lines(stream) == [
        {"event": "log", "text": "two\nlines é"},
        {"event": "warning", "text": "careful"},
        {"event": "progress", "fraction": 0.51235, "text": "half", "eta": 3.1},
        {"event": "progress", "fraction": 1.0, "text": "", "eta": None},
        {"event": "result", "values": {"output": "o.tif", "classes": {"1": 2}}},
        {"event": "error", "kind": "input", "message": "It is so.", "hint": "Do this."},
    ]


def test_progress_is_bounded_thinned_out_and_its_end_always_sent():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    for step in range(1000):
        reporter.progress(step / 500 - 0.5)
    reporter.progress(1.5)
    told = lines(stream)
    assert len(told) < 600
    assert all(0 <= item["fraction"] <= 1 for item in told)
    assert told[-1]["fraction"] == 1.0


def test_lines_of_several_threads_do_not_mix():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    threads = [threading.Thread(target=lambda: [reporter.log("x" * 500) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(stream)) == 800


def test_a_reader_that_is_gone_does_not_stop_the_work():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    JsonReporter(Gone()).log("x")
    closed = io.StringIO()
    closed.close()
    JsonReporter(closed).log("x")


def test_the_console_gets_plain_sentences():
    err, out = io.StringIO(), io.StringIO()
    reporter = ConsoleReporter(err, out)
    reporter.progress(0.5, "half", 75.0)
    reporter.log("a fact")
    reporter.warning("careful")
    reporter.error("input", "It is so.", "Do this.")
    reporter.result({"output": "o.tif", "classes": {"1": 2}})
    assert err.getvalue() == " 50% half, 1 min 15 s left\na fact\nWarning: careful\nError: It is so. Do this.\n"
    assert out.getvalue() == "output: o.tif\n"


def test_a_terminal_gets_a_bar_that_other_lines_replace():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    err = Terminal()
    reporter = ConsoleReporter(err, io.StringIO())
    reporter.progress(0.5, "half")
    reporter.log("a fact")
    assert "############............" in err.getvalue()
    assert err.getvalue().endswith("\r\033[Ka fact\n")
    reporter.progress(1.0, "done")
    assert err.getvalue().endswith("100% done\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (8.4, "8 s"), (60, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_durations_are_said_as_people_do(seconds, text):
    assert format_duration(seconds) == text


def test_what_libraries_print_does_not_break_the_events():
    program = """
import ctypes, os, subprocess, sys
from engine.events import JsonReporter, private_stdout
reporter = JsonReporter(private_stdout())
print("noise of Python")
os.write(1, b"noise of the system\\n")
ctypes.CDLL(None).puts(b"noise of C")
ctypes.CDLL(None).fflush(None)
subprocess.run(["echo", "noise of a child"])
reporter.log("a name that is no text: \\udcff")
reporter.log("an event")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=tiny.engine_environment()
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(events) == 2
    assert events[0]["text"].startswith("a name that is no text")
    assert events[1] == {"event": "log", "text": "an event"}
    for source in ("Python", "the system", "C", "a child"):
        assert f"noise of {source}" in done.stderr
