"""The entries in the menu Raster, and that they go away."""

import pytest
from helpers import ROOT
from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QAction, QPushButton
from window import Interface

from flair_qgis import plugin as plugin_module
from flair_qgis.plugin import FlairPlugin
from flair_qgis.provider import FlairProvider


@pytest.fixture
def interface(qgis_app):
    made = Interface()
    yield made
    made.close()


@pytest.fixture
def plugin(qgis_app, interface):
    registry = QgsApplication.processingRegistry()
    registry.removeProvider("flair")
    made = FlairPlugin(interface)
    made.initGui()
    yield made
    made.unload()
    # Python has to keep it: the registry holds a pointer only
    qgis_app.flair_provider = FlairProvider()
    registry.addProvider(qgis_app.flair_provider)


def entries(interface):
    return interface.menus["FLAIR land cover"].actions()


def entry(interface, name):
    return next(action for action in entries(interface) if action.objectName() == f"flair_{name}")


def test_each_algorithm_has_an_entry_in_the_order_of_work(plugin, interface):
    names = [action.objectName() for action in entries(interface) if not action.isSeparator()]
    assert names[0] == "flair_firststeps"
    assert names[-1] == "flair_documentation"
    listed = {f"flair_{item.name()}" for item in QgsApplication.processingRegistry().providerById("flair").algorithms()}
    assert set(names[1:-1]) == listed
    assert len(names[1:-1]) == len(listed)
    places = [names.index(f"flair_{name}") for name in ("prepareinput", "extractpatches", "train", "classify")]
    assert places == sorted(places)
    assert names.index("flair_classify") < names.index("flair_evaluate") < names.index("flair_polygonise")
    headings = [action.text() for action in entries(interface) if action.isSeparator()]
    assert headings[:5] == ["Images and models", "Training", "Land cover", "Evaluation", "Maps and areas"]
    assert not [action.text() for action in entries(interface) if not action.isSeparator() and action.icon().isNull()]


def test_unload_leaves_the_menu_as_it_was(plugin, interface):
    own = QAction("of another plugin", interface.window)
    interface.addPluginToRasterMenu("Other", own)
    before = len(entries(interface))
    for _ in range(3):
        plugin.show_first_steps()
        assert len(interface.docks) == 1
        plugin.unload()
        assert list(interface.menus) == ["Other"]
        assert interface.menus["Other"].actions() == [own]
        assert interface.docks == []
        assert QgsApplication.processingRegistry().providerById("flair") is None
        plugin.initGui()
        assert len(entries(interface)) == before


def test_an_entry_opens_the_dialog(plugin, interface, fake_engine, monkeypatch):
    opened = []
    monkeypatch.setattr(plugin_module, "open_dialog", lambda iface, identifier: opened.append(identifier))
    entry(interface, "classify").trigger()
    entry(interface, "prepareandclassify").trigger()
    assert opened == ["flair:classify", "flair:prepareandclassify"]
    assert interface.bar.currentItem() is None


def test_a_missing_engine_is_said_with_a_way_out(plugin, interface, monkeypatch):
    opened = []
    monkeypatch.setattr(plugin_module, "open_dialog", lambda iface, identifier: opened.append(identifier))
    entry(interface, "classify").trigger()
    assert opened == []
    message = interface.bar.currentItem()
    assert "is not set up yet" in message.text()
    button = next(item for item in message.findChildren(QPushButton) if item.text() == "First steps…")
    button.click()
    assert [dock.objectName() for dock in interface.docks] == ["FlairFirstSteps"]
    assert interface.docks[0].isVisibleTo(interface.window)
    # what needs no engine opens
    entry(interface, "setupengine").trigger()
    assert opened == ["flair:setupengine"]


def test_documentation_opens(plugin, interface, monkeypatch, tmp_path):
    from flair_qgis import documentation

    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    monkeypatch.setattr(documentation, "plugin_root", lambda: tmp_path)
    (tmp_path / "metadata.txt").write_text("[general]\nhomepage=https://example.org/flair\n", encoding="utf-8")
    entry(interface, "documentation").trigger()
    pages = tmp_path / "site" / "reference" / "algorithms"
    pages.mkdir(parents=True)
    (tmp_path / "site" / "index.html").touch()
    entry(interface, "documentation").trigger()
    assert opened == ["https://example.org/flair", (tmp_path / "site" / "index.html").as_uri()]


def test_each_algorithm_has_a_page(monkeypatch, tmp_path):
    from flair_qgis import documentation

    for algorithm in QgsApplication.processingRegistry().providerById("flair").algorithms():
        assert algorithm.helpUrl().endswith((f"/{algorithm.name()}.md", f"/{algorithm.name()}.html"))
    home = documentation.homepage()
    assert f"homepage={home}\n" in (ROOT / "metadata.txt").read_text(encoding="utf-8")
    monkeypatch.setattr(documentation, "plugin_root", lambda: tmp_path)
    page = tmp_path / "site" / "reference" / "algorithms" / "classify.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert documentation.help_page("classify") == page.as_uri()
