"""flair:downloaddataset and flair:checkdataset with a stand-in for the engine."""

import processing
import pytest
from qgis.core import QgsApplication, QgsProcessingException


def algorithm(name="downloaddataset"):
    return QgsApplication.processingRegistry().createAlgorithmById(f"flair:{name}")


def run(parameters, context, feedback, name="downloaddataset"):
    return processing.run(f"flair:{name}", parameters, context=context, feedback=feedback, is_child_algorithm=True)


def problem(parameters, context, name="downloaddataset"):
    valid, message = algorithm(name).checkParameterValues(parameters, context)
    assert valid == (not message)
    return message


def test_all_values_arrive(fake_engine, tmp_path, context, feedback):
    sources, output = tmp_path / "sources.yaml", tmp_path / "set"
    sources.write_text("format: 1\n")
    parameters = {
        "DATASET": "flair-2",
        "MODALITIES": "aerial, sentinel2",
        "SPLITS": "train val",
        "DOMAINS": "D012,D013_2020",
    }
    parameters.update({"SOURCES": str(sources), "CONNECTIONS": 2, "KEEP_ARCHIVES": True, "OUTPUT": str(output)})
    result = run(parameters, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "dataset-download",
        "options": {
            "dataset": "flair-2",
            "modalities": ["aerial", "sentinel2"],
            "splits": ["train", "val"],
            "domains": ["D012", "D013_2020"],
            "sources": str(sources),
            "connections": 2,
            "keep_archives": True,
            "only_size": False,
            "output": str(output),
        },
    }
    assert result == {"OUTPUT": str(output), "FILES": 250, "BYTES": 215_000_000}
    assert feedback.texts == ["Downloading flair_labels.zip, 3.1 MB/s, 12 s left"]


def test_defaults_leave_choices_to_the_engine(fake_engine, tmp_path, context, feedback):
    run({"OUTPUT": str(tmp_path / "set")}, context, feedback)
    assert set(fake_engine.options) == {"dataset", "connections", "keep_archives", "only_size", "output"}
    assert fake_engine.options["dataset"] == "flair-1"


def test_data_set_of_ones_own_sources(fake_engine, tmp_path, context, feedback):
    run({"DATASET_NAME": "mine", "OUTPUT": str(tmp_path / "set")}, context, feedback)
    assert fake_engine.options["dataset"] == "mine"


def test_only_the_size(fake_engine, context, feedback):
    result = run({"ONLY_SIZE": True, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert result["BYTES"] == 215_000_000
    assert fake_engine.options["only_size"] is True


def test_gigabytes_do_not_go_into_a_temporary_folder(context):
    assert "temporary folder" in problem({"DATASET": "flair-1", "OUTPUT": "TEMPORARY_OUTPUT"}, context)
    assert problem({"DATASET": "flair-1-toy", "OUTPUT": "TEMPORARY_OUTPUT"}, context) == ""
    assert problem({"DATASET": "flair-1", "ONLY_SIZE": True, "OUTPUT": "TEMPORARY_OUTPUT"}, context) == ""


def test_sources_that_are_not_there(tmp_path, context):
    wrong = {"SOURCES": "/nowhere/s.yaml", "OUTPUT": str(tmp_path)}
    assert "There is no file /nowhere/s.yaml" in problem(wrong, context)


def test_check_a_data_set(fake_engine, tmp_path, context, feedback):
    classes = tmp_path / "classes.yaml"
    classes.write_text("name: mine\n")
    parameters = {
        "FOLDER": str(tmp_path),
        "LISTS": True,
        "CHECKSUMS": True,
        "LAYOUT": "flair-hub",
        "NOMENCLATURE": str(classes),
    }
    report = tmp_path / "problems.csv"
    result = run({**parameters, "REPORT": str(report)}, context, feedback, "checkdataset")
    assert fake_engine.record["request"] == {
        "command": "dataset-check",
        "options": {
            "folder": str(tmp_path),
            "lists": True,
            "checksums": True,
            "layout": "flair-hub",
            "nomenclature": str(classes),
            "report": str(report),
        },
    }
    assert result == {"REPORT": str(report), "PATCHES": 250, "PROBLEMS": 1}
    assert "REPORT" not in run({"FOLDER": str(tmp_path)}, context, feedback, "checkdataset")


def test_mistakes_in_a_check(tmp_path, context, feedback):
    assert "There is no folder /nowhere" in problem({"FOLDER": "/nowhere"}, context, "checkdataset")
    wrong = {"FOLDER": str(tmp_path), "NOMENCLATURE": "/nowhere/c.yaml"}
    assert "There is no file /nowhere/c.yaml" in problem(wrong, context, "checkdataset")
    with pytest.raises(QgsProcessingException, match="There is no folder"):
        algorithm("checkdataset").prepareAlgorithm({"FOLDER": "/nowhere"}, context, feedback)
