"""flair:benchmark in qgis_process: a study of a model that works and one that is lost."""

from __future__ import annotations

import csv
import json

import pytest

STUDY = """name: small ones
definition: strict
samples: 1
models:
  - {name: small, model: %s}
  - {name: lost, model: lost.safetensors}
tests:
  - {name: held out, data: "${FLAIR_DATA}/small_patches", split: val}
"""


@pytest.fixture
def study(material, tmp_path):
    path = tmp_path / "study é.yaml"
    path.write_text(STUDY % material.model, encoding="utf-8")
    return path


def test_one_is_judged_one_fails_and_a_second_run_goes_on(qgis, material, study, tmp_path):
    output = tmp_path / "results"
    values = {"STUDY": study, "DATA_FOLDER": material.folder, "OUTPUT": output}
    answer = qgis.execute("flair:benchmark", DEVICE="cpu", **values)
    assert answer.code == 0, answer.text
    results = answer.json["results"]
    assert results["FAILED"] == 1
    assert results["REPORT"] == str(output / "report.html")
    assert "'lost' on 'held out' is left out" in answer.text
    assert "Traceback" not in answer.text
    figures = json.loads((output / "benchmark.json").read_text(encoding="utf-8"))
    assert "small" in json.dumps(figures)
    with open(results["TABLE2"], newline="", encoding="utf-8") as file:
        assert any("small" in row for row in csv.reader(file))
    judged = qgis.execute(
        "flair:evaluate", MODEL=material.model, DATA=material.patches, SPLIT="val", OUTPUT=tmp_path / "single"
    )
    assert judged.code == 0, judged.text
    # the same figure as that of the model alone, in per cent
    assert f"miou {100 * judged.json['results']['MIOU']:.2f} %" in answer.text
    again = qgis.execute("flair:benchmark", DEVICE="cpu", **values)
    assert again.code == 0, again.text
    assert "patches are done already" in again.text
    assert again.json["results"]["FAILED"] == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "No study is chosen."),
        ({"STUDY": "study"}, 'The study needs the folder FLAIR_DATA, which nobody named. Choose it as "Folder of the'),
        ({"STUDY_NAME": "flair-table2"}, "The study needs the folder FLAIR_WEIGHTS"),
        ({"STUDY_NAME": "flair-table9"}, "STUDY_NAME"),
    ],
    ids=["none", "no data", "no weights", "unknown"],
)
def test_mistakes_are_told_in_a_sentence(qgis, study, tmp_path, values, words):
    values = {key: study if value == "study" else value for key, value in values.items()}
    answer = qgis.execute("flair:benchmark", OUTPUT=tmp_path / "results", **values)
    assert answer.code != 0
    assert words in answer.stderr, answer.text
    assert "Traceback" not in answer.text
    assert not (tmp_path / "results").exists()
