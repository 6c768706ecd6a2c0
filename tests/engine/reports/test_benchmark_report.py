"""The report of a study from plain values."""

from __future__ import annotations

import re

from engine.reports.benchmark_report import BenchmarkReport, Sample, SampleTable, plain, points, render

NOTHING = "data:image/png;base64,AAAA"


def failed(model, test, error="It <is> gone."):
    return {"model": model, "test": test, "error": error}


def report(results=(), samples=()):
    definition = {"name": "ign", "text": "A rule.", "source": "someone"}
    return BenchmarkReport("A & B", definition, [("Study", "a.yaml")], results, samples)


def test_failures_are_told_once():
    notes = report([failed(model, test) for model in "abc" for test in "xy"]).notes
    assert notes == ["a, b and c on x and y are left out: It <is> gone."]
    assert report([failed("a", "x"), failed("b", "y")]).notes == ["a on x and b on y are left out: It <is> gone."]
    assert report([failed("a", "x"), failed("a", "y", "Other.")]).notes[1] == "a on y is left out: Other."
    html = render(report([failed("a", "x")]))
    assert "It &lt;is&gt; gone." in html
    assert "No model could be judged." in html


def test_no_table_of_pictures_is_wider_than_a_page():
    names = [f"m{number}" for number in range(7)]
    sample = Sample("Patch 1", NOTHING, NOTHING, [f"{NOTHING}{number}" for number in range(7)])
    html = render(report(samples=[SampleTable("t", names, [sample], [{"name": "water", "color": "#0000ff"}])]))
    assert html.count('alt="Image"') == 2
    assert [re.search(f'{NOTHING}{number}" alt="(.*?)"', html)[1] for number in range(7)] == names
    assert html.count('colspan="7"') == 1
    assert html.count('colspan="4"') == 1


def test_numbers():
    assert (points(-10.386), points(0.0), points(None)) == ("-10.39", "+0.00", "–")  # noqa: RUF001
    assert (plain(54.717), plain(None)) == ("54.72", "–")  # noqa: RUF001


def test_columns_that_would_be_empty_are_left_out():
    nothing = dict.fromkeys(("iou", "fscore", "precision", "recall"))
    row = {"code": 1, "name": "building", "color": "#db0e9a", "present": True, "published": nothing}
    row.update(reproduced=nothing, difference=nothing, ours={**nothing, "iou": 12.345})
    scores = dict.fromkeys(("miou", "fscore", "precision", "recall"), 0.5)
    speed = dict.fromkeys(("patches", "seconds", "patches_per_second", "megapixels_per_second"), 1)
    speed.update(device="cpu", device_name="a CPU", peak_memory_bytes=10**9, parameters=10**6)
    item = {
        "model": "m", "test": "t", "error": None, "published": [], "worth_a_word": False, "classes": [row],
        "scores": {**scores, "definition": "ign", "absent": []}, "speed": speed,
    }  # fmt: skip
    html = render(report([item]))
    assert "Nothing was published of these models" in html
    assert ">published<" not in html
    known = {**row, "published": {**nothing, "iou": 20.0}, "difference": {**nothing, "iou": -7.655}}
    html = render(report([{**item, "classes": [known]}]))
    assert html.count(">published<") == 4
    assert ">reproduced<" not in html
    assert re.search(
        r">20\.00</td>\s*<td class=\"figure\"><b>12\.3[45]</b></td>\s*<td class=\"figure\">-7\.6[56]<", html
    )
