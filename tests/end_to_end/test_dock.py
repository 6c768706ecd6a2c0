"""The plugin's menu and the panel for a first use, in a QGIS with a window."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest

from tests.end_to_end import rasters
from tests.end_to_end.processes import PATIENCE, names_in
from tests.end_to_end.qgis_runs import program
from tests.end_to_end.window_runs import run_in_window


def test_a_first_map_from_the_panel(material, display, qgis, tmp_path):
    if program("qgis") is None:
        pytest.skip("QGIS is not installed")
    output = tmp_path / "map.tif"
    seen, pictures = run_in_window(
        "dock_in_window.py",
        material,
        display,
        tmp_path,
        name="dock",
        seconds=50,
        image=str(material.image),
        model=str(material.model),
        output=str(output),
    )
    # loaded and unloaded three times
    assert all("FLAIR land cover" in entries for entries in seen["with"])
    # QGIS puts it among the other submenus in an order of its own
    assert [sorted(entries) for entries in seen["with"]] == [sorted(seen["with"][0])] * 4
    assert seen["without"] == seen["without"][:1] * 3
    assert "FLAIR land cover" not in seen["without"][0]
    assert seen["docks"] == []
    assert (seen["entries"][0], seen["entries"][-1]) == ("First steps…", "Documentation")
    assert "Classify land cover…" in seen["entries"]
    assert seen["engine"].startswith("The engine works")
    assert "Computes on: " in seen["details"]
    # the run went on while the panel was closed
    assert seen["end"] == "Done."
    assert "ready after" in seen["message"]
    assert seen["longest_gap"] < PATIENCE
    assert seen["layers"] == [["map", "paletted"]]
    assert np.array_equal(rasters.read(output), rasters.read(material.map))
    assert seen["history"].startswith('processing.run("flair:classify"')
    # later versions put the group before it
    assert [title.rpartition(" - ")[2] for title in seen["dialogs"]] == ["Classify land cover"]
    # each ends where its page lies: built in the checkout, else in the repository
    assert [re.search(r"classify\.(html|md)$", page) is not None for page in seen["pages"]] == [True, False]
    assert seen["second"] == 1
    assert seen["left_open"] == []
    assert "5. Maps and areas" in seen["groups"]
    assert names_in(pictures) == ["dialog.png", "map.png", "menu.png", "panel.png", "running.png", "toolbox.png"]
    # the command in the log does the same again
    command = shlex.split(re.search(r"qgis_process run .*", seen["log"])[0])
    output.unlink()
    answer = qgis.run(*command[1:])
    assert answer.code == 0, answer.text
    assert np.array_equal(rasters.read(output), rasters.read(material.map))
