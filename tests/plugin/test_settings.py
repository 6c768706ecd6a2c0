import sys
from pathlib import Path

import pytest

from flair_qgis import settings
from flair_qgis.settings import environment_python, find_engine


def make(folder):
    path = environment_python(folder)
    path.parent.mkdir(parents=True)
    path.write_text("")
    return path


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "managed_folder", lambda: tmp_path / "managed")
    monkeypatch.setattr(settings, "plugin_root", lambda: tmp_path / "checkout")
    return tmp_path


def test_order(places, monkeypatch):
    assert find_engine()[0] is None
    checkout = make(places / "checkout" / ".venv")
    assert find_engine()[0] == (checkout, "checkout")
    managed = make(places / "managed" / "engine")
    assert find_engine()[0] == (managed, "managed")
    variable = make(places / "variable")
    monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(variable))
    assert find_engine()[0] == (variable, "variable")
    option = make(places / "option")
    monkeypatch.setattr(settings, "_setting", lambda: str(option))
    assert find_engine() == ((option, "setting"), "")


def test_a_folder_of_an_environment_will_do(places, monkeypatch):
    python = make(places / "variable")
    monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(places / "variable"))
    assert find_engine()[0].path == python


def test_links_are_kept(places, monkeypatch):
    """The link in a virtual environment is what makes Python see its packages."""
    (places / "bin").mkdir()
    link = places / "bin" / "python"
    link.symlink_to(sys.executable)
    monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(link))
    assert find_engine()[0].path == link


@pytest.mark.parametrize("origin", ["setting", "variable"])
def test_a_wrong_name_is_not_passed_over(places, monkeypatch, origin):
    make(places / "managed" / "engine")
    if origin == "setting":
        monkeypatch.setattr(settings, "_setting", lambda: "/nowhere/python")
    else:
        monkeypatch.setenv("FLAIR_ENGINE_PYTHON", "/nowhere/python")
    engine, problem = find_engine()
    assert engine is None
    assert "/nowhere/python" in problem


def test_windows_layout():
    assert environment_python(Path("x"), "win32") == Path("x/Scripts/python.exe")
    assert environment_python(Path("x"), "darwin") == Path("x/bin/python")


def test_option_is_in_processing(qgis_app):
    from processing.core.ProcessingConfig import ProcessingConfig

    option = ProcessingConfig.settings[settings.SETTING]
    assert option.description == "Engine Python"
    assert option.group == "FLAIR land cover"
    with pytest.raises(ValueError, match="does not exist"):
        option.setValue("/nowhere/python")
