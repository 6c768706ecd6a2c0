"""The provider in a QGIS that starts and ends, as qgis_process does for each run."""

import os
import subprocess
import sys

from helpers import ROOT

SCRIPT = """
import sys
from qgis.core import QgsApplication
app = QgsApplication([], False)
app.initQgis()
sys.path.append("/usr/share/qgis/python/plugins")
from processing.core.Processing import Processing
Processing.initialize()
from flair_qgis.provider import FlairProvider
provider = FlairProvider()
QgsApplication.processingRegistry().addProvider(provider)
assert QgsApplication.processingRegistry().algorithmById("flair:trainonmyarea")
app.exitQgis()
print("ended")
"""


def test_it_ends_with_qgis(tmp_path):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert "ended" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
