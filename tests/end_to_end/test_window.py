"""The algorithm's dialog in a QGIS with a window, on a display that nobody sees.

Screenshots go to FLAIR_TEST_PICTURES when that is set, else to the test's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end import rasters
from tests.end_to_end.processes import ROOT, Running, names_in, stored_tiles
from tests.end_to_end.qgis_runs import PLUGIN, Qgis, program

SCRIPT = ROOT / "tests" / "end_to_end" / "inside_qgis" / "classify_in_window.py"
# No tips, no question about a new version, nothing over the network.
PROFILE = f"""[PythonPlugins]
{PLUGIN}=true
processing=true

[qgis]
checkVersion=false
showTips=false
showTips324=false
showTips322=false
newsFeed=false

[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
"""


@pytest.fixture(scope="session")
def display():
    """A display of its own: its name."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    process.terminate()
    process.wait()


@pytest.fixture
def window(material, display, tmp_path):
    """Runs the script in a new QGIS and returns what it saw and the finished run."""
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    qgis = Qgis(tmp_path / "qgis", ROOT, material.cache)
    settings = qgis.profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(PROFILE)
    pictures = Path(os.environ.get("FLAIR_TEST_PICTURES", tmp_path / "pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    folder = tmp_path / "out"
    folder.mkdir()

    def run(*, name, **settings):
        report = tmp_path / "report.json"
        shown = pictures / name
        shown.mkdir(exist_ok=True)
        values = {
            "model": str(material.model),
            "output": str(folder / "map.tif"),
            "pictures": str(shown),
            "report": str(report),
            **settings,
        }
        environment = qgis.environment(
            DISPLAY=display, QT_QPA_PLATFORM="xcb", LIBGL_ALWAYS_SOFTWARE=1, FLAIR_WINDOW_RUN=json.dumps(values)
        )
        command = [program("qgis"), "--nologo", "--noversioncheck", "--code", str(SCRIPT)]
        with Running(command, environment, tmp_path) as running:
            running.wait(200)
            assert report.exists(), running.stdout + running.stderr
            seen = json.loads(report.read_text())
            assert "failure" not in seen, seen["failure"]
            assert running.processes() == []
            assert "Traceback" not in running.stderr + running.stdout, running.stderr
        return seen, folder / "map.tif", shown

    return run


def lowered(classes):
    return [(code, color.lower(), name.lower()) for code, color, name in classes]


def test_run_from_the_dialog(window, material):
    seen, output, pictures = window(name="run", image=str(material.image))
    assert "flair:classify" in seen["listed"]
    assert "Classify land cover" in seen["title"]
    assert seen["successful"], seen
    assert seen["results"]["OUTPUT"] == str(output)
    print(f"{seen['ticks']} ticks in {seen['seconds']:.1f} s, the longest gap {seen['longest_gap']:.2f} s")
    assert seen["dialog_returned_after"] < 1
    assert seen["longest_gap"] < 1
    assert seen["loaded"] == 1
    layer = seen["layer"]
    assert layer["type"] == "paletted"
    assert lowered(layer["classes"]) == rasters.expected_classes()
    assert layer["crs"] == "EPSG:2154"
    # what a person reads in the legend
    assert [
        row.lower() for row in layer["rows"] if row.lower() in {name for *_, name in rasters.expected_classes()}
    ] == [name for *_, name in rasters.expected_classes()]
    assert seen["by_hand"]["type"] == "paletted"
    assert lowered(seen["by_hand"]["classes"]) == rasters.expected_classes()
    assert np.array_equal(rasters.read(output), rasters.read(material.map))
    assert names_in(pictures) == ["dialog.png", "log.png", "map.png"]


def test_cancel_from_the_dialog(window, material):
    seen, output, _ = window(name="cancel", image=str(material.large), cancel=0.5, values={"WINDOW": 256})
    assert not seen["successful"]
    print(f"ended {seen['cancelled_after']:.1f} s after Cancel; the longest gap {seen['longest_gap']:.2f} s")
    assert seen["cancelled_after"] < 2.5
    assert seen["longest_gap"] < 1
    assert seen["loaded"] == 0
    assert not output.exists()
    assert stored_tiles(output) > 0
