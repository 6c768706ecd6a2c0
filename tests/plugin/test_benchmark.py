"""flair:benchmark with a stand-in for the engine: what it asks for, and what it gives back."""

from pathlib import Path

import processing
import pytest
from helpers import Feedback
from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingException, QgsProcessingOutputHtml

STUDY = """name: mine
# not ${LEFT_OUT}
models:
  - {name: a, model: a.safetensors}
tests:
  - {name: t, data: set}
"""


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:benchmark")


def run(parameters, context, feedback):
    return processing.run("flair:benchmark", parameters, context=context, feedback=feedback, is_child_algorithm=True)


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return str(path)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("FLAIR_DATA", "FLAIR_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


def test_parameters_and_outputs():
    found = algorithm()
    definitions = {item.name(): item for item in found.parameterDefinitions()}
    shown = [name for name, item in definitions.items() if not item.flags() & item.FlagAdvanced]
    assert shown == ["STUDY", "STUDY_NAME", "DATA_FOLDER", "WEIGHTS_FOLDER", "DEFINITION", "OUTPUT"]
    outputs = {item.name(): item for item in found.outputDefinitions()}
    assert set(outputs) == {"OUTPUT", "REPORT", "RESULTS", "TABLE2", "TABLE3", "FAILED", "SECONDS"}
    assert isinstance(outputs["REPORT"], QgsProcessingOutputHtml)
    assert "flair-table2" in definitions["STUDY_NAME"].options()
    assert (found.group(), found.groupId()) == ("4. Evaluation", "evaluation")
    assert not found.icon().isNull()


def test_all_values_arrive(fake_engine, study, tmp_path, context, feedback):
    output = tmp_path / "out"
    parameters = {"STUDY": study, "DEFINITION": "strict", "PREDICTIONS": True, "DEVICE": "cpu", "THREADS": 3}
    result = run({**parameters, "OVERWRITE": True, "OUTPUT": str(output)}, context, feedback)
    assert fake_engine.record["request"] == {
        "command": "benchmark",
        "options": {
            "study": study,
            "definition": "strict",
            "predictions": True,
            "device": "cpu",
            "threads": 3,
            "overwrite": True,
            "output": str(output),
        },
    }
    assert result == {
        "OUTPUT": str(output),
        "REPORT": str(output / "report.html"),
        "RESULTS": str(output / "results.json"),
        "TABLE2": str(output / "table2.csv"),
        "TABLE3": str(output / "table3.csv"),
        "FAILED": 1,
        "SECONDS": 2.5,
    }
    assert feedback.warnings == ["'second' on 't' is left out: There is no model file."]


def test_defaults_leave_choices_to_the_engine(fake_engine, study, context, feedback):
    result = run({"STUDY": study, "OUTPUT": "TEMPORARY_OUTPUT"}, context, feedback)
    assert fake_engine.options == {
        "study": study,
        "predictions": False,
        "device": "auto",
        "overwrite": False,
        "output": result["OUTPUT"],
    }
    assert "FLAIR_DATA" not in fake_engine.record["environment"]


def test_study_that_comes_with_the_plugin(fake_engine, tmp_path, context, feedback):
    parameters = {"STUDY_NAME": "flair-table2", "OUTPUT": str(tmp_path / "out")}
    parameters.update({"DATA_FOLDER": str(tmp_path), "WEIGHTS_FOLDER": str(tmp_path)})
    run(parameters, context, feedback)
    assert fake_engine.options["study"] == "flair-table2"
    environment = fake_engine.record["environment"]
    assert (environment["FLAIR_DATA"], environment["FLAIR_WEIGHTS"]) == (str(tmp_path), str(tmp_path))


def test_checks_before_the_run(study, tmp_path, monkeypatch):
    context = QgsProcessingContext()
    good = {"STUDY": study, "OUTPUT": str(tmp_path / "out")}
    other, open_one = tmp_path / "study.txt", tmp_path / "open.yaml"
    other.write_text(STUDY)
    open_one.write_text(STUDY.replace("data: set", "data: $SPARE_DATA/set"))
    shipped = {"STUDY": None, "STUDY_NAME": "flair-table2"}
    assert algorithm().checkParameterValues(good, context) == (True, "")
    for change, part in (
        ({"STUDY": None}, "No study is chosen. Choose a study file"),
        ({"STUDY": "/nowhere/study.yaml"}, "There is no file /nowhere/study.yaml."),
        ({"STUDY": str(other)}, "is no study: it has to end in .yaml"),
        ({"STUDY": str(open_one)}, "needs the folder SPARE_DATA, which nobody named. Set the environment variable"),
        (shipped, 'needs the folder FLAIR_WEIGHTS, which nobody named. Choose it as "Folder of the weights".'),
        ({**shipped, "WEIGHTS_FOLDER": str(tmp_path)}, 'Choose it as "Folder of the data".'),
        ({"DATA_FOLDER": "/nowhere"}, "There is no folder /nowhere."),
        ({"OUTPUT": None}, "OUTPUT"),
    ):
        valid, message = algorithm().checkParameterValues({**good, **change}, context)
        assert not valid, change
        assert part in message, message
    monkeypatch.setenv("SPARE_DATA", str(tmp_path))
    assert algorithm().checkParameterValues({**good, "STUDY": str(open_one)}, context) == (True, "")


def test_mistakes_are_found_in_a_step_of_a_model_too(fake_engine, tmp_path, context, feedback):
    """A model does not make the checks of its steps before it runs them."""
    _, success = algorithm().run({"STUDY": "/nowhere.yaml", "OUTPUT": str(tmp_path / "out")}, context, feedback)
    assert not success
    assert feedback.errors == ["There is no file /nowhere.yaml. Check the path."]


def test_engine_error_is_raised(fake_engine, study, tmp_path, context, feedback):
    fake_engine.mode("error")
    with pytest.raises(QgsProcessingException, match=r"The image has no CRS\. Set one\."):
        run({"STUDY": study, "OUTPUT": str(tmp_path / "out")}, context, feedback)
    assert not Path(tmp_path / "out").exists()


def test_cancel(fake_engine, study, tmp_path, context):
    fake_engine.mode("hang")
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run({"STUDY": study, "OUTPUT": str(tmp_path / "out")}, context, Feedback(cancel_after=1.0))
