"""The map of a run of kilometric sheets: there while the run goes on, styled, redrawn, and left alone afterwards."""

import os

import pytest
from fake_rasters import write_index
from helpers import Feedback
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
)
from window import wait_until

from flair_qgis.live_index import LiveIndex, index_path, index_source


@pytest.fixture
def parameters(image, model, tmp_path):
    return {"INPUT": [image], "MODEL": model, "LAYOUT": "sheets", "OUTPUT": str(tmp_path / "map.vrt")}


def algorithm():
    return QgsApplication.processingRegistry().createAlgorithmById("flair:classify")


def loaded(parameters, project=None):
    """Parameters as the dialog gives them: QGIS loads the output when the run has ended."""
    value = QgsProcessingOutputLayerDefinition(parameters["OUTPUT"], project or QgsProject.instance())
    return {**parameters, "OUTPUT": value}


def in_project(project=None):
    context = QgsProcessingContext()
    context.setProject(project or QgsProject.instance())
    return context


def sheets_layers():
    return [layer for layer in QgsProject.instance().mapLayers().values() if "layername=sheets" in layer.source()]


def test_the_index_is_in_the_project_while_the_run_goes_on(fake_engine, parameters, monkeypatch):
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "6")
    context, feedback = in_project(), Feedback()
    done = []
    task = QgsProcessingAlgRunnerTask(algorithm(), loaded(parameters), context, feedback)
    task.executed.connect(lambda good, _results: done.append(good))
    QgsApplication.taskManager().addTask(task)
    wait_until(lambda: sheets_layers() or done)
    assert not done
    (layer,) = sheets_layers()
    assert layer.hasAutoRefreshEnabled()
    assert layer.autoRefreshInterval() > 0
    renderer = layer.renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert renderer.classAttribute() == "state"
    states = [category.value() for category in renderer.categories()]
    assert states == ["waiting", "running", "done", "empty", "failed"]
    colours = {category.symbol().color().name() for category in renderer.categories()}
    assert len(colours) == len(states)
    wait_until(lambda: done)
    assert done == [True]
    wait_until(lambda: not layer.hasAutoRefreshEnabled())
    # It is not loaded a second time.
    assert not [source for source in context.layersToLoadOnCompletion() if "_sheets.gpkg" in source]
    assert len(sheets_layers()) == 1


def test_without_a_window_the_index_is_loaded_with_the_results(fake_engine, parameters):
    project = QgsProject()
    context = in_project(project)
    _results, good = algorithm().run(loaded(parameters, project), context, Feedback())
    assert good
    assert index_source(index_path(parameters["OUTPUT"])) in context.layersToLoadOnCompletion()
    assert not sheets_layers()


def test_whoever_does_not_load_the_output_gets_no_index(fake_engine, parameters):
    context = in_project()
    _results, good = algorithm().run(parameters, context, Feedback())
    assert good
    assert not context.layersToLoadOnCompletion()
    assert not sheets_layers()


def test_one_file_has_no_index(fake_engine, parameters, tmp_path):
    output = str(tmp_path / "map.tif")
    context = in_project()
    values = loaded({**parameters, "LAYOUT": "single", "OUTPUT": output})
    _results, good = algorithm().run(values, context, Feedback())
    assert good
    assert list(context.layersToLoadOnCompletion()) == [output]


def test_an_index_of_an_earlier_run_is_not_taken_for_the_new_one(tmp_path):
    path = tmp_path / "map_sheets.gpkg"
    write_index(path)
    os.utime(path, (1, 1))
    live = LiveIndex(QgsProject.instance())
    live.begin(path)
    live._look()
    assert not sheets_layers()
    os.utime(path)
    live._look()
    assert len(sheets_layers()) == 1
    live.end()
