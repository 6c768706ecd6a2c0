from __future__ import annotations

import re

import numpy as np

from engine.reports.pictures import picture
from engine.reports.preparation_report import BandRow, Picture, PreparationReport, SourceRow, render


def report(**changes):
    band = BandRow("red", 210.04, 20.5, 105.08, 52.17, 2.012, True, 0.0, 0.123)
    values = {
        "title": "town <1>.tif",
        "summary": [("Size", "10 x 20 pixels")],
        "bands": [band],
        "sources": [SourceRow("Surface model", "dsm_<a>.tif", 0.5, (-0.4, 0.25), "2021", "metre (assumed)")],
        "notes": ["<b>dark</b>"],
    }
    return render(PreparationReport(**{**values, **changes}))


def test_the_page_is_whole_and_escapes_names():
    html = report()
    assert "town &lt;1&gt;.tif" in html
    assert "dsm_&lt;a&gt;.tif" in html
    assert "&lt;b&gt;dark&lt;/b&gt;" in html
    assert "<script" not in html
    assert not re.search(r'(src|href)="(?!data:)', html)


def test_a_mean_that_is_off_is_marked():
    assert "<b>2.01</b> (!)" in report()
    assert "(!)</td>" not in report(bands=[BandRow("red", 100.0, 20.5, 105.08, 52.17, -0.1, False, 0.0, 0.0)])
    assert "12.3" in report()


def test_what_is_not_there_has_no_heading():
    html = report(bands=[], sources=[])
    for text in ("Missing tiles", "Pictures", "Correlation", "Brought to 8 bits"):
        assert text not in html


def test_pictures_gaps_correlations_and_stretches():
    address = picture(np.zeros((1, 5, 5), np.uint8), ("red",))
    html = report(
        pictures=[Picture(f"Band {number}", address) for number in range(4)],
        gaps=[(f"tile {number}", "Infrared", 0.5) for number in range(120)],
        correlations=[("red", 0.543)],
        order=[("red", 0.9985)],
        stretches=[("red", 120.0, 4000.0)],
    )
    assert html.count("<img") == 4
    assert "tile 99" in html
    assert "tile 100" not in html
    assert "20 more are in the result" in html
    assert "red 0.54." in html
    assert "red 0.999." in html or "red 0.998." in html
    assert "from 120.0 (becomes 0) to 4000.0 (becomes 255)" in html
