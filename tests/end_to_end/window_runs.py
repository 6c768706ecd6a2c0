"""A QGIS with a window, on a display that nobody sees.

Screenshots go to FLAIR_TEST_PICTURES when that is set, else to the test's folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.end_to_end.processes import PATIENCE, ROOT, Running
from tests.end_to_end.qgis_runs import PLUGIN, Qgis, program

SCRIPTS = ROOT / "tests" / "end_to_end" / "inside_qgis"
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

[fonts]
downloadMissingFonts=false

[core]
NewsFeed\\httpsfeedqgisorg\\disabled=true
"""


def run_in_window(script, material, display, folder, *, name, seconds=200, **settings):
    """Run a script of `inside_qgis` in a new QGIS and check that it ended well.

    Args:
        script: Its file name.
        material: What the tests share.
        display: Name of the display.
        folder: Where profile and report go.
        name: Folder for the pictures.
        seconds: How long it may take, on a machine with nothing else to do.
        settings: What the script is told.

    Returns:
        What the script saw, and the folder of the pictures.
    """
    qgis = Qgis(folder / "qgis", ROOT, material.cache)
    profile = qgis.profile / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    profile.parent.mkdir(parents=True)
    profile.write_text(PROFILE)
    pictures = Path(os.environ.get("FLAIR_TEST_PICTURES", folder / "pictures")) / name
    pictures.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    values = {
        "folder": str(SCRIPTS),
        "pictures": str(pictures),
        "report": str(report),
        "patience": PATIENCE,
        **settings,
    }
    environment = qgis.environment(
        DISPLAY=display, QT_QPA_PLATFORM="xcb", LIBGL_ALWAYS_SOFTWARE=1, FLAIR_WINDOW_RUN=json.dumps(values)
    )
    command = [program("qgis"), "--nologo", "--noversioncheck", "--code", str(SCRIPTS / script)]
    with Running(command, environment, folder) as running:
        running.wait(seconds * PATIENCE)
        assert report.exists(), running.stdout + running.stderr
        seen = json.loads(report.read_text())
        assert "failure" not in seen, seen["failure"]
        assert running.processes() == []
        assert "Traceback" not in running.stderr + running.stdout, running.stderr
    return seen, pictures
