import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers import ROOT, Feedback, alive
from qgis.core import QgsNetworkAccessManager, QgsProcessingException, QgsSettings

from flair_qgis import engine_process, i18n, progress
from flair_qgis.engine_process import run_engine


def run(fake_engine, feedback, options=None, command="diagnostics"):
    return run_engine(fake_engine.program, command, options or {}, feedback)


def test_request_environment_and_folder(fake_engine, feedback, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("GDAL_DATA", "/nowhere")
    result = run(fake_engine, feedback)
    record = fake_engine.record
    assert result["engine"] == "0.1.0"
    assert record["request"] == {"command": "diagnostics", "options": {}}
    assert record["argv"][1:] == ["-u", "-m", "engine", "--request"]
    assert record["environment"]["PYTHONPATH"] == str(ROOT)
    assert record["environment"]["PYTHONSAFEPATH"] == "1"
    assert not {"PYTHONHOME", "GDAL_DATA"} & set(record["environment"])
    assert record["cwd_files"] == []
    assert record["sid"] == record["pid"]
    assert not Path(record["cwd"]).exists()


def test_real_module_is_found_through_pythonpath(tmp_path, feedback, monkeypatch):
    package = tmp_path / "engine"
    package.mkdir()
    (package / "__main__.py").write_text(
        "import sys, json\nsys.stdin.readline()\n"
        "print(json.dumps({'event': 'result', 'values': {'name': __spec__.name}}))\n"
    )
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(engine_process, "plugin_root", lambda: tmp_path)
    assert run_engine(Path(sys.executable), "models", {}, feedback) == {"name": "engine.__main__"}


def test_events_reach_feedback(fake_engine, feedback, image, tmp_path):
    options = {"input": [image], "output": str(tmp_path / "map.tif")}
    result = run(fake_engine, feedback, options, "classify")
    assert result["pixels"] == 200
    assert feedback.infos == ["model read"]
    assert feedback.warnings == ["bands look alike: see --bands"]
    assert feedback.texts == ["Classifying, 3.5 Mpx/s, 1 min 05 s left"]
    assert feedback.console == ["a library printed this", "{not json"]
    assert 25 in [value for _, value in feedback.progresses]


def test_columns_stay_apart_in_the_log_of_a_window(fake_engine, feedback, monkeypatch):
    """It is HTML there, in which spaces run together; a terminal gets the line as it is."""
    fake_engine.mode("table")
    run(fake_engine, feedback)
    assert feedback.infos == ["\u2002\u20021\u2002\u2002building\u2002\u200216,866\u2002\u20026.1 %"]
    monkeypatch.setattr(progress.QgsApplication, "platform", lambda: "qgis_process")
    again = Feedback()
    run(fake_engine, again)
    assert again.infos == ["  1  building       16,866   6.1 %"]


def test_much_output_does_not_block(fake_engine, feedback):
    fake_engine.mode("chatty")
    assert run(fake_engine, feedback)["engine"] == "0.1.0"
    assert len(feedback.infos) == 3000


def test_in_french_the_words_of_the_engine_are_marked_as_such(fake_engine, feedback, monkeypatch):
    monkeypatch.setattr(engine_process, "language", lambda: "fr")
    monkeypatch.setattr(i18n, "language", lambda: "fr")
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException) as caught:
        run(fake_engine, feedback)
    assert str(caught.value) == "Le moteur dit, en anglais : The image has no CRS. Set one."


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("error", ["The image has no CRS. Set one."]),
        ("killed", ["killed by the system", "memory ran out", "Window size"]),
        ("abort", ["SIGABRT"]),
        ("traceback", ["exit code 1", "ValueError: something odd"]),
        ("missing", ["No module named 'torch'", "Set up the engine"]),
        ("silent", ["stopped unexpectedly", "exit code 0"]),
        ("late-failure", ["stopped unexpectedly", "exit code 1"]),
    ],
)
def test_failures_are_one_sentence_with_a_way_out(fake_engine, feedback, mode, expected):
    fake_engine.mode(mode)
    with pytest.raises(QgsProcessingException) as caught:
        run(fake_engine, feedback)
    for part in expected:
        assert part in str(caught.value)
    assert "Traceback" not in str(caught.value)
    if mode == "traceback":
        assert any("Traceback" in text for text in feedback.console)


@pytest.mark.parametrize(
    ("code", "part"),
    [(137, "memory ran out"), (0xC0000017, "memory ran out"), (0xC0000005, "0xc0000005"), (-11, "SIGSEGV")],
)
def test_exit_codes(tmp_path, feedback, code, part):
    with (tmp_path / "stderr").open("w+b") as errors:
        error = engine_process._explain(engine_process._Outcome(), code, errors, feedback)
    assert part in str(error)


def test_missing_python(feedback, tmp_path):
    with pytest.raises(QgsProcessingException, match=r"cannot be started.*Set up the engine"):
        run_engine(tmp_path / "python", "diagnostics", {}, feedback)


def test_cancel_ends_the_whole_group_within_two_seconds(fake_engine):
    fake_engine.mode("hang")
    feedback = Feedback(cancel_after=0.8)
    started = time.monotonic()
    with pytest.raises(QgsProcessingException) as caught:
        run(fake_engine, feedback)
    assert str(caught.value) == "Cancelled."
    assert feedback.warnings == []
    assert time.monotonic() - started < 0.8 + 2.0
    assert not [pid for pid in fake_engine.pids() if alive(pid)]


def test_what_the_engine_keeps_is_told_after_cancelling(fake_engine):
    """Its last words come after the wish to stop, and are what a person needs to know."""
    fake_engine.mode("last-words")
    feedback = Feedback(cancel_after=1.5)
    started = time.monotonic()
    kept = "Cancelled. The best model so far (epoch 3, mIoU 0.41) is kept: PATH"
    with pytest.raises(QgsProcessingException) as caught:
        run(fake_engine, feedback)
    assert time.monotonic() - started < 1.5 + 1.0
    assert str(caught.value) == kept
    # QGIS shows what is raised; once is enough
    assert feedback.warnings == []
    assert feedback.infos == ["The last checkpoint is kept."]
    assert not [pid for pid in fake_engine.pids() if alive(pid)]


def test_nothing_is_left_after_a_normal_end(fake_engine, feedback):
    fake_engine.mode("leftover")
    started = time.monotonic()
    run(fake_engine, feedback)
    assert time.monotonic() - started < 3
    time.sleep(0.1)
    assert not [pid for pid in fake_engine.pids() if alive(pid)]


def test_progress_goes_on_while_the_engine_is_silent(fake_engine):
    fake_engine.mode("hang")
    feedback = Feedback(cancel_after=2.6)
    with pytest.raises(QgsProcessingException):
        run(fake_engine, feedback)
    times = [moment for moment, _ in feedback.progresses]
    assert len(times) >= 3
    assert max(times[number + 1] - times[number] for number in range(len(times) - 1)) < 1.1


def test_killed_qgis_leaves_no_engine(fake_engine, tmp_path):
    fake_engine.mode("hang")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        "from pathlib import Path\n"
        "from qgis.core import QgsApplication, QgsProcessingFeedback\n"
        "application = QgsApplication([], False)\n"
        "from flair_qgis.engine_process import run_engine\n"
        f"run_engine(Path({str(fake_engine.program)!r}), 'diagnostics', {{}}, QgsProcessingFeedback(False))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    engine, grandchild = fake_engine.pids(20)
    try:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 3
        while alive(engine) and time.monotonic() < end:
            time.sleep(0.05)
        assert not alive(engine)
    finally:
        os.kill(grandchild, signal.SIGKILL)


def test_runs_in_threads(fake_engine):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(run(fake_engine, Feedback())["engine"])) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == ["0.1.0"] * 3


def test_flags_in_messages_are_named_as_the_dialog_names_them():
    from flair_qgis.option_names import in_dialog_words

    text = "Check the image's empty value (--nodata), or give --weights FILE; gdal_translate -ot Byte --other."
    found = in_dialog_words(text, {"nodata": "No data value", "weights": "Weights of the named model"})
    assert found == (
        'Check the image\'s empty value ("No data value"), or give "Weights of the named model"; '
        "gdal_translate -ot Byte --other."
    )


@pytest.fixture
def proxy_of_qgis():
    """A proxy as a person enters it under Settings > Options > Network."""
    settings = QgsSettings()
    values = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "8080"}
    values.update({"proxyUser": "joe", "proxyPassword": "secret", "noProxyUrls": ["http://intranet.example/"]})
    for key, value in values.items():
        settings.setValue(f"proxy/{key}", value)
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
    yield "http://joe:secret@proxy.example:8080"
    settings.remove("proxy")
    QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()


def test_proxy_of_qgis_reaches_the_engine(fake_engine, feedback, proxy_of_qgis):
    run(fake_engine, feedback)
    environment = fake_engine.record["environment"]
    assert environment["HTTPS_PROXY"] == environment["https_proxy"] == proxy_of_qgis
    assert environment["NO_PROXY"] == "intranet.example"
    # and from the thread in which a dialog runs it
    first = fake_engine.record["pid"]
    thread = threading.Thread(target=run, args=(fake_engine, feedback))
    thread.start()
    thread.join()
    assert fake_engine.record["pid"] != first
    assert fake_engine.record["environment"]["HTTPS_PROXY"] == proxy_of_qgis


def test_no_proxy_where_qgis_has_none(fake_engine, feedback, monkeypatch):
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    run(fake_engine, feedback)
    assert "HTTPS_PROXY" not in fake_engine.record["environment"]
