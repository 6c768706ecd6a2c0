"""A prepared image appears whole or not at all, and an interrupted run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from engine.errors import Cancelled, InputError, OutputError
from tests.engine import tiny
from tests.engine.commands.prepared_scene import inputs, read

WORK = ".out.tif.flair-work"


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr("engine.preparation.target.Target.tiles.__defaults__", (100,))


class StopsAt:
    """A reporter that cancels at a share of the work."""

    def __init__(self, recorder, cancelled, share):
        self._recorder, self._cancelled, self._share = recorder, cancelled, share

    def __getattr__(self, name):
        return getattr(self._recorder, name)

    def progress(self, fraction, text="", eta=None):
        if fraction >= self._share:
            self._cancelled.set()


@pytest.mark.parametrize("share", [0.01, 0.3, 0.72, 0.9])
def test_cancelled_and_gone_on_with(make, scene, tmp_path, recorder, small_tiles, share):
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        make(**inputs(scene), cancelled=cancelled, reporter=StopsAt(recorder, cancelled, share))
    assert os.listdir(tmp_path) == ([WORK] if share > 0.1 else [])
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / WORK).rglob("*.tif")}
    assert bool(kept) == (share > 0.1)
    seen = {}

    class Looks(StopsAt):
        def progress(self, fraction, text="", eta=None):
            seen.update({path: path.stat().st_mtime_ns for path in kept if path.exists()})

    result = make(**inputs(scene), reporter=Looks(recorder, cancelled, 2))
    assert seen == kept
    assert any("Going on with an interrupted run" in text for text in recorder.logs) == bool(kept)
    assert sorted(os.listdir(tmp_path)) == ["out.tif", "out_report.html"]
    again = make(**inputs(scene), output=str(tmp_path / "again.tif"))
    assert (read(result["output"])[0] == read(again["output"])[0]).all()
    assert result["counts"] == again["counts"]
    assert result["statistics"] == again["statistics"]


def test_other_options_do_not_go_on(make, scene, tmp_path, recorder, small_tiles):
    cancelled = threading.Event()
    with pytest.raises(Cancelled):
        make(**inputs(scene), cancelled=cancelled, reporter=StopsAt(recorder, cancelled, 0.3))
    make(**inputs(scene), fill_distance=1)
    assert any("starting anew" in text for text in recorder.logs)
    assert not any("Going on" in text for text in recorder.logs)


def test_a_killed_run_goes_on(scene, tmp_path):
    large = {name: scene[name] for name in ("rgb", "irc", "dsm", "dtm")}
    output = tmp_path / "out.tif"
    code = (
        "import sys, time\n"
        "from engine.preparation import image_file, target\n"
        "from engine import cli\n"
        "target.Target.tiles.__defaults__ = (64,)\n"
        "real = image_file.compose\n"
        "def slow(*arguments):\n"
        "    time.sleep(0.05)\n"
        "    return real(*arguments)\n"
        "image_file.compose = slow\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    options = [part for name, path in large.items() for part in (f"--{name}", path)]
    command = [sys.executable, "-c", code, "prepare-input", *options, "--output", str(output)]
    process = subprocess.Popen(command, env=tiny.engine_environment(), stderr=subprocess.PIPE)
    journal = tmp_path / WORK / "journal.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") >= 12):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not output.exists()
    finished = subprocess.run(command, env=tiny.engine_environment(), capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "Going on with an interrupted run" in finished.stderr
    assert sorted(os.listdir(tmp_path)) == ["out.tif", "out_report.html"]
    assert (read(output)[0][:4] == scene["pixels"][:4]).all()


def test_a_full_disk_leaves_the_old_image(make, scene, tmp_path, monkeypatch):
    make(rgb=scene["rgb"])
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def full(*arguments, **options):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("engine.preparation.image_file.copy_as_cog", full)
    with pytest.raises(OutputError, match="disk is full"):
        make(**inputs(scene), overwrite=True)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_an_image_that_was_not_written_whole_is_found(make, scene, tmp_path, monkeypatch):
    from engine.preparation import image_file

    real = image_file.copy_as_cog

    def damaging(source, path, *arguments, **options):
        import rasterio

        real(source, path, *arguments, **options)
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
            block = file.read(1, window=((0, 4), (0, 4)))
            file.write(255 - block, 1, window=((0, 4), (0, 4)))

    monkeypatch.setattr(image_file, "copy_as_cog", damaging)
    with pytest.raises(OutputError, match="could not be written"):
        make(rgb=scene["rgb"])
    assert os.listdir(tmp_path) == []


def test_a_damaged_input_is_named_and_leaves_nothing(make, scene, tmp_path):
    path = tiny.write(
        tmp_path / "dsm.tif", scene["pixels"][4:].astype("float32"), compress="deflate", transform=scene["transform"]
    )
    content = bytearray((tmp_path / "dsm.tif").read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    (tmp_path / "dsm.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"dsm.tif"):
        make(rgb=scene["rgb"], height=path)
    assert os.listdir(tmp_path) == ["dsm.tif"]


def test_two_runs_for_one_output_do_not_mix(make, scene, tmp_path, monkeypatch):
    from engine.rasters.folder_lock import hold

    (tmp_path / WORK).mkdir()
    lock = hold(tmp_path / WORK, tmp_path / "out.tif")
    with pytest.raises(OutputError):
        make(rgb=scene["rgb"])
    lock.release()
