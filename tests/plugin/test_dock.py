"""The panel for a first use: without an engine, with one, a run, its end, and the keyboard."""

import time

import pytest
from helpers import write_model, write_raster
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QProgressBar, QPushButton, QRadioButton
from window import HistoryRegistry, Interface, wait_until

from flair_qgis import i18n
from flair_qgis.dock import engine_panel, first_steps, run_message
from flair_qgis.dock.background_run import BackgroundRun
from flair_qgis.dock.first_steps import FirstStepsDock

NAME = "FLAIR-INC_rgb_15cl_resnet34-unet"


@pytest.fixture
def interface(qgis_app):
    made = Interface()
    yield made
    made.close()


@pytest.fixture
def layer(image):
    made = QgsRasterLayer(image, "ortho")
    QgsProject.instance().addMapLayer(made)
    return made


@pytest.fixture
def dock(interface):
    made = FirstStepsDock(interface)
    interface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, made)
    interface.window.resize(1000, 900)
    interface.window.show()
    made.show()
    yield made
    made.stop()
    wait_until(lambda: QgsApplication.taskManager().countActiveTasks() == 0)
    interface.window.close()


@pytest.fixture
def ready(fake_engine, layer, dock, model):
    """The panel once it has found the engine, with a layer and a model file chosen."""
    wait_until(lambda: dock.engine.state is not None)
    dock.form.model.names.setCurrentIndex(dock.form.model.names.findData(""))
    dock.form.model.file.setFilePath(model)
    return dock


BUTTONS = {"engine_again", "engine_set_up", "engine_report", "classify", "cancel", "more", "log"}


def text(dock, name):
    return dock.findChild(QLabel, name).text()


def press(widget, key=Qt.Key.Key_Space):
    QTest.keyClick(widget, key)


def note(interface):
    return interface.bar.currentItem()


def test_without_an_engine(dock, layer, monkeypatch):
    wait_until(lambda: dock.engine.state is not None)
    assert not dock.engine.state.works
    assert "is not set up yet" in text(dock, "engine_status")
    assert text(dock, "run_text") == "The engine is missing or does not work: see 1."
    assert not dock.runs.classify.isEnabled()
    opened = []
    monkeypatch.setattr(engine_panel, "open_dialog", lambda iface, identifier: opened.append(identifier))
    press(dock.findChild(QPushButton, "engine_set_up"))
    assert opened == ["flair:setupengine"]


def test_the_engine_is_found_once_it_is_there(dock, layer, tmp_path, monkeypatch, request):
    wait_until(lambda: dock.engine.state is not None)
    request.getfixturevalue("fake_engine")
    press(dock.findChild(QPushButton, "engine_again"))
    assert text(dock, "engine_status") == "Checking the engine…"
    wait_until(lambda: dock.engine.state.works)
    assert text(dock, "engine_status") == "The engine works (version 0.1.0)."
    details = text(dock, "engine_details")
    assert "Python: …/" in details
    assert "engine python (named by the environment variable)" in details
    assert "Computes on: cpu, 4 GB" in details
    assert dock.runs.classify.isEnabled()
    assert "Engine: 0.1.0" in dock.engine.state.report


def test_looking_for_the_engine_does_not_block(dock, fake_engine):
    wait_until(lambda: dock.engine.state is not None)
    fake_engine.mode("hang")
    began = time.monotonic()
    dock.engine.check()
    assert time.monotonic() - began < 0.5
    assert len(fake_engine.pids()) == 2
    for _ in range(10):
        began = time.monotonic()
        QApplication.processEvents()
        assert time.monotonic() - began < 0.5
    assert dock.engine.checking
    dock.stop()
    wait_until(lambda: QgsApplication.taskManager().countActiveTasks() == 0)


def test_a_broken_engine_says_why(dock, layer, fake_engine):
    wait_until(lambda: dock.engine.state is not None)
    fake_engine.mode("missing")
    dock.engine.check()
    wait_until(lambda: not dock.engine.checking)
    assert "environment is not complete" in text(dock, "engine_status")
    assert not dock.runs.classify.isEnabled()


def test_what_is_missing_is_said(fake_engine, dock, image, model):
    wait_until(lambda: dock.engine.state is not None)
    assert "Add an aerial image to the project" in text(dock, "run_text")
    QgsProject.instance().addMapLayer(QgsRasterLayer(image, "ortho"))
    assert text(dock, "run_text") == ""
    choice = dock.form.model
    choice.names.setCurrentIndex(choice.names.findData(""))
    assert text(dock, "run_text") == "Choose a model file."
    assert not dock.runs.classify.isEnabled()
    choice.file.setFilePath("/nowhere/m.safetensors")
    assert "There is no model file" in text(dock, "run_text")
    choice.file.setFilePath(model)
    assert dock.runs.classify.isEnabled()
    assert text(dock, "model_note") == "Bands: red, green, blue"


def test_models_are_marked_and_suggested(fake_engine, dock, layer, monkeypatch, tmp_path):
    monkeypatch.setenv("FAKE_ENGINE_MODELS", NAME)
    wait_until(lambda: dock.engine.state is not None)
    dock.engine.check()
    wait_until(lambda: not dock.engine.checking)
    choice = dock.form.model
    assert choice.name == NAME  # three bands
    assert "on this computer" in text(dock, "model_note")
    names = choice.names
    marked = [names.itemData(row) for row in range(names.count()) if not names.itemIcon(row).isNull()]
    assert marked == [NAME]
    assert names.itemData(names.findData(NAME), Qt.ItemDataRole.AccessibleTextRole) == f"{NAME}, on this computer"
    five = QgsRasterLayer(write_raster(tmp_path / "five.tif", bands=5), "five")
    QgsProject.instance().addMapLayer(five)
    dock.form.image.setLayer(five)
    assert "rgbie" in choice.name
    assert "to be downloaded once" in text(dock, "model_note")
    # a person's choice stays
    row = names.findData(NAME)
    names.setCurrentIndex(row)
    names.activated.emit(row)
    dock.form.image.setLayer(layer)
    dock.form.image.setLayer(five)
    assert choice.name == NAME


def test_a_run_adds_the_styled_map(ready, interface, layer, fake_engine, tmp_path):
    output = tmp_path / "map.tif"
    ready.form.output.setFilePath(str(output))
    press(ready.runs.classify)
    assert ready.runs.run is not None
    assert ready.runs.cancel.isVisible()
    wait_until(lambda: ready.runs.run is None)
    assert text(ready, "run_text") == "Done."
    made = [item for item in QgsProject.instance().mapLayers().values() if item.source() == str(output)]
    assert [item.name() for item in made] == ["Land cover of ortho"]
    assert made[0].renderer().type() == "paletted"
    message = note(interface)
    assert "ready after" in message.text()
    assert message.level() == Qgis.MessageLevel.Success
    assert fake_engine.options["input"] == [layer.source()]
    assert "extent" not in fake_engine.options
    log = ready.runs.last.log
    assert "model read" in log
    assert "qgis_process run flair:classify " in log
    assert f"INPUT={layer.source()}" in log
    assert f"OUTPUT={output}" in log


def last_of_history():
    """Return the call that Processing's history remembers."""
    if hasattr(QgsGui, "historyProviderRegistry"):
        entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
        return max(entries, key=lambda item: item.timestamp).entry["python_command"]
    # QGIS before 3.24
    from processing.core.ProcessingLog import ProcessingLog

    return ProcessingLog.getLogEntries()[-1].text


def test_the_history_repeats_the_run(ready, fake_engine, layer, model, tmp_path, feedback):
    import processing

    ready.form.output.setFilePath(str(tmp_path / "first.tif"))
    press(ready.runs.classify)
    wait_until(lambda: ready.runs.run is None)
    entry = last_of_history()
    assert entry.startswith('processing.run("flair:classify", ')
    first = fake_engine.options
    values = eval(entry.partition(", ")[2].rpartition(")")[0], {"QgsProcessingOutputLayerDefinition": None})
    assert values["INPUT"] == [layer.source()]
    assert values["MODEL"] == model
    processing.run("flair:classify", {**values, "OUTPUT": str(tmp_path / "first.tif")}, feedback=feedback)
    assert fake_engine.options == first
    assert QgsGui.instance().processingRecentAlgorithmLog().recentAlgorithmIds()[0] == "flair:classify"


def test_what_the_map_shows(ready, interface, fake_engine):
    interface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:2154"))
    interface.canvas.resize(200, 100)
    interface.canvas.setExtent(QgsRectangle(700000, 6599998.5, 700002, 6599999.5))
    press(ready.form.shown)
    press(ready.runs.classify)
    wait_until(lambda: ready.runs.run is None)
    box = interface.canvas.extent()
    left, right, bottom, top = (float(part) for part in fake_engine.options["extent"].split()[0].split(","))
    assert (left, right) == pytest.approx((box.xMinimum(), box.xMaximum()))
    assert (bottom, top) == pytest.approx((box.yMinimum(), box.yMaximum()))
    assert ready.form.parameters()["EXTENT"].endswith(" [EPSG:2154]")
    # nobody named a file
    assert "TEMPORARY_OUTPUT" in ready.runs.last.log


def test_progress_time_left_and_cancel(ready, interface, fake_engine, tmp_path):
    fake_engine.mode("slow")
    ready.form.output.setFilePath(str(tmp_path / "map.tif"))
    press(ready.runs.classify)
    bar = ready.findChild(QProgressBar, "progress")
    wait_until(lambda: bar.value() > 5)
    assert text(ready, "run_text") == "Classifying"
    assert ready.runs.cancel.hasFocus()
    press(ready.runs.cancel)
    assert text(ready, "run_text") == "Cancelling…"
    wait_until(lambda: ready.runs.run is None, 5)
    assert text(ready, "run_text") == "Cancelled."
    assert note(interface).level() == Qgis.MessageLevel.Info
    assert not (tmp_path / "map.tif").exists()
    assert len(QgsProject.instance().mapLayers()) == 1
    assert ready.runs.classify.isVisible()
    assert ready.runs.classify.hasFocus()


def test_time_left_is_shown(ready, fake_engine):
    texts = []
    press(ready.runs.classify)
    ready.runs.run.told.connect(texts.append)
    wait_until(lambda: ready.runs.run is None)
    assert "Classifying, 3.5 Mpx/s, 1 min 05 s left" in texts


def test_a_failure_is_said_with_its_log(ready, interface, fake_engine, monkeypatch):
    fake_engine.mode("error")
    press(ready.runs.classify)
    wait_until(lambda: ready.runs.run is None)
    assert text(ready, "run_text") == "The image has no CRS. Set one."
    message = note(interface)
    assert message.level() == Qgis.MessageLevel.Critical
    # the way out is in the panel and the log
    assert message.text() == "The image has no CRS."
    shown = []
    monkeypatch.setattr(run_message, "show_text", lambda iface, title, log: shown.append(log))
    next(item for item in message.findChildren(QPushButton) if item.text() == "Show log").click()
    assert "The image has no CRS." in shown[0]
    assert "qgis_process run flair:classify" in shown[0]


def test_wrong_values_are_said_before_a_run(ready, tmp_path):
    ready.form.model.file.setFilePath(
        write_model(tmp_path / "five.safetensors", bands=("red", "green", "blue", "infrared", "elevation"))
    )
    press(ready.runs.classify)
    assert ready.runs.run is None
    assert "band" in text(ready, "run_text")


def test_closing_the_panel_ends_no_run(ready, fake_engine, tmp_path):
    fake_engine.mode("slow")
    ready.form.output.setFilePath(str(tmp_path / "map.tif"))
    press(ready.runs.classify)
    ready.close()
    assert not ready.isVisible()
    wait_until(lambda: ready.runs.run is None)
    assert (tmp_path / "map.tif").exists()


def test_a_run_outlives_the_panel_and_unloading_ends_it(ready, fake_engine, tmp_path):
    fake_engine.mode("slow")
    ready.form.output.setFilePath(str(tmp_path / "map.tif"))
    press(ready.runs.classify)
    run = ready.runs.run
    ready.stop()
    ready.deleteLater()
    wait_until(lambda: run not in BackgroundRun._running, 5)
    assert run.cancelled
    assert not (tmp_path / "map.tif").exists()


def test_more_options_take_the_values_over(ready, layer, model, monkeypatch):
    opened = []
    monkeypatch.setattr(first_steps, "open_dialog", lambda *values: opened.append(values))
    press(ready.runs.more)
    (_, identifier, parameters) = opened[0]
    assert identifier == "flair:classify"
    assert parameters["INPUT"] == [layer.id()]
    assert parameters["MODEL"] == model


def test_tab_goes_from_top_to_bottom(ready, interface):
    interface.window.activateWindow()
    first = ready.findChild(QPushButton, "engine_again")
    first.setFocus()
    order = []
    while True:
        widget = QApplication.focusWidget()
        # it leaves the panel, or begins anew
        if widget in order or not ready.isAncestorOf(widget):
            break
        order.append(widget)
        press(widget, Qt.Key.Key_Tab)
    tops = [widget.mapTo(ready, widget.rect().topLeft()).y() for widget in order]
    assert tops == sorted(tops)
    names = [widget.objectName() for widget in order if widget.objectName()]
    assert names == [
        *("engine_again", "engine_report", "engine_set_up"),
        *("image", "model_name", "whole", "classify", "more"),
    ]
    assert len(order) == 12


@pytest.mark.parametrize("language", ["en", "fr"])
def test_everything_that_can_be_used_has_a_name_and_a_key(language, monkeypatch, interface):
    monkeypatch.setattr(i18n, "language", lambda: language)
    ready = FirstStepsDock(interface)
    for kind in (QPushButton, QComboBox, QRadioButton, QLineEdit, QProgressBar):
        for widget in ready.findChildren(kind):
            assert widget.accessibleName() or getattr(widget, "text", str)(), widget.objectName()
    texts = [widget.text() for widget in ready.findChildren(QPushButton) if widget.objectName() in BUTTONS]
    texts += [widget.text() for widget in ready.findChildren(QRadioButton)]
    texts += [widget.text() for widget in ready.findChildren(QLabel) if widget.buddy() is not None]
    keys = [word[word.index("&") + 1].lower() for word in texts if "&" in word]
    assert len(keys) >= 8
    assert len(set(keys)) == len(keys)
    # those of QGIS's own menus in English
    assert language != "en" or not set(keys) & set("jevlspordwmch")


def test_the_history_of_later_versions(ready, interface, fake_engine, layer, tmp_path, monkeypatch):
    """A stand-in for the registry, which 3.22 lacks; its entries are what the dialogs of 3.40 write."""
    registry = HistoryRegistry()
    monkeypatch.setattr(QgsGui, "historyProviderRegistry", lambda: registry, raising=False)
    monkeypatch.setattr(QgsProcessingAlgorithm, "asMap", lambda *values: {"inputs": {}}, raising=False)
    ready.form.output.setFilePath(str(tmp_path / "map.tif"))
    press(ready.runs.classify)
    ((provider, entry),) = registry.entries.values()
    assert provider == "processing"
    assert entry["algorithm_id"] == "flair:classify"
    assert entry["python_command"].startswith('processing.run("flair:classify"')
    assert entry["process_command"].startswith("qgis_process run flair:classify ")
    assert "results" not in entry
    wait_until(lambda: ready.runs.run is None)
    ((_, entry),) = registry.entries.values()
    assert entry["results"]["OUTPUT"] == str(tmp_path / "map.tif")
    assert "model read<br/>" in entry["log"]


def test_keys_reach_their_control(ready, interface):
    """Alt and the underlined letter, as typed anywhere in the window."""
    interface.window.activateWindow()
    ready.runs.more.setFocus()
    wait_until(interface.window.isActiveWindow)
    for key, widget in (
        (Qt.Key.Key_I, ready.form.image),
        (Qt.Key.Key_U, ready.form.model.names),
        (Qt.Key.Key_X, ready.form.whole),
        (Qt.Key.Key_T, ready.form.output.lineEdit()),
    ):
        QTest.keyClick(QApplication.focusWidget(), key, Qt.KeyboardModifier.AltModifier)
        assert widget.hasFocus(), widget.objectName()
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_K, Qt.KeyboardModifier.AltModifier)
    # a button shows that it was pressed before it acts
    wait_until(lambda: ready.engine.checking)
    wait_until(lambda: not ready.engine.checking)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Y, Qt.KeyboardModifier.AltModifier)
    wait_until(lambda: ready.runs.last is not None and ready.runs.run is None)
    assert text(ready, "run_text") == "Done."


def test_a_layer_of_a_service_needs_a_part(ready, interface, fake_engine, tiles):
    service, extent = tiles
    QgsProject.instance().addMapLayer(service)
    ready.form.image.setLayer(service)
    press(ready.runs.classify)
    assert ready.runs.run is None
    assert "Choose an extent" in text(ready, "run_text")
    interface.canvas.setDestinationCrs(service.crs())
    interface.canvas.resize(100, 100)
    interface.canvas.setExtent(extent)
    ready.form.shown.setChecked(True)
    assert text(ready, "run_text") == ""
    press(ready.runs.classify)
    wait_until(lambda: ready.runs.run is None)
    assert text(ready, "run_text") == "Done."
    # the part was copied to a file
    assert list(fake_engine.record["files"].values()) == [True]


def test_a_map_taken_for_an_image(ready, tmp_path):
    QgsProject.instance().addMapLayer(QgsRasterLayer(write_raster(tmp_path / "map.tif", bands=1), "land cover"))
    ready.form.image.setLayer(QgsProject.instance().mapLayersByName("land cover")[0])
    press(ready.runs.classify)
    assert ready.runs.run is None
    assert "1 band" in text(ready, "run_text")
