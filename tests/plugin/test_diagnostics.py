import getpass
from pathlib import Path

import processing
import pytest
from qgis.core import Qgis

from flair_qgis.paths import without_user


def run(parameters, feedback, context):
    return processing.run("flair:diagnostics", parameters, feedback=feedback, context=context, is_child_algorithm=True)


def test_report(fake_engine, tmp_path, feedback, context):
    output = tmp_path / "report.html"
    result = run({"OUTPUT": str(output)}, feedback, context)
    report = result["REPORT"]
    for part in (f"QGIS: {Qgis.QGIS_VERSION}", "GDAL of QGIS: ", "Engine: 0.1.0", "engine.packages.torch: 2.13.0"):
        assert part in report
    assert "engine.devices[0].name: cpu" in report
    assert "(variable)" in report
    assert str(Path.home()) not in report.replace("/rootless", "")
    assert "<pre>" in output.read_text(encoding="utf-8")
    assert result["OUTPUT"] == str(output)


def test_text_file_and_no_engine(tmp_path, feedback, context):
    output = tmp_path / "report.txt"
    report = run({"OUTPUT": str(output)}, feedback, context)["REPORT"]
    assert "Engine Python: none" in report
    assert output.read_text(encoding="utf-8") == report


def test_broken_engine_is_part_of_the_report(fake_engine, feedback, context):
    fake_engine.mode("error")
    assert "does not work: The image has no CRS." in run({}, feedback, context)["REPORT"]


@pytest.mark.parametrize("path", ["/home/{}/x", "C:\\Users\\{}\\AppData", "/mnt/{}"])
def test_user_is_taken_out(path, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "jeanne")
    assert "jeanne" not in without_user(path.format("jeanne"))
    assert without_user("a jeanne b") == "a jeanne b"
    assert without_user(str(Path.home() / "x")) == str(Path("~") / "x")
