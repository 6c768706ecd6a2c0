"""Study files: paths, names, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.study.study_file import folder_name, read_study

GOOD = """\
name: mine
models:
  - name: a
    model: models/a.safetensors
  - name: b
    model: FLAIR-INC_rgb_15cl_resnet34-unet
    weights: ${WEIGHTS_HERE}/b.pth
tests:
  - name: t
    data: ~/data
    root: $DATA_HERE
"""


@pytest.fixture
def folders(monkeypatch, tmp_path):
    monkeypatch.setenv("WEIGHTS_HERE", "/weights")
    monkeypatch.setenv("DATA_HERE", "data here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def written(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return str(path)


def test_paths_start_from_the_file(folders, tmp_path):
    found = read_study(written(tmp_path, GOOD))
    first, second = found.study.models
    assert first.model == str(tmp_path / "models" / "a.safetensors")
    assert (second.model, second.weights) == ("FLAIR-INC_rgb_15cl_resnet34-unet", "/weights/b.pth")
    assert (first.published_as, second.published_as) == (None, "FLAIR-INC_rgb_15cl_resnet34-unet")
    test = found.study.tests[0]
    assert test.data == str(tmp_path / "home" / "data")
    assert test.root == str(tmp_path / "data here")
    assert (test.split, found.study.definition, found.study.samples) == ("test", "ign", 4)
    assert found.output == tmp_path / "mine"


def test_all_that_is_not_set_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.delenv("WEIGHTS_HERE", raising=False)
    monkeypatch.setenv("DATA_HERE", "")
    with pytest.raises(RequestError) as caught:
        read_study(written(tmp_path, GOOD))
    assert "'study.yaml', line 7: 'weights': the environment variable WEIGHTS_HERE is not set" in caught.value.message
    assert "line 11: 'root': the environment variable DATA_HERE is not set" in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: mine\n", "", "'name' is missing"),
        ("    weights:", "    wieghts:", "line 7: unknown key 'models.1.wieghts'. Did you mean 'weights'?"),
        ("name: mine", "nmae: mine", "line 1: unknown key 'nmae'"),
        ("    data:", "    dta:", "line 10: unknown key 'tests.0.dta'. Did you mean 'data'?"),
        ("name: mine", "name: [1]", "line 1: 'name' must be text, not '[1]'"),
        ("name: mine", "name: mine\nsamples: many", "line 2: 'samples' must be a whole number, not 'many'"),
        ("name: mine", "name: mine\nsamples: 99", "line 2: 'samples': Input should be less than"),
        ("name: mine", "name: mine\ndefinition: ing", "line 2: 'definition' must be one of"),
        ("name: mine", "name: mine\nignore: [300]", "line 2: 'ignore.0'"),
        ("  - name: b", "\t- name: b", "line 5: a tab stands before or beside"),
        ("  - name: b", "  - name: a", "line 5: the name 'a' is that of another of the models, 'a'"),
        ("  - name: b", "  - name: A!", "line 5: the name 'A!' is that of another of the models, 'a'"),
        ("    root:", "    split: validation\n    root:", "line 11: 'tests.0.split' must be one of"),
        ("name: mine", "name: mine\nname: yours", "line 2: the key 'name' stands a second time, first on line 1"),
        ("models/a.safetensors", "{", "not valid YAML"),
    ],
)
def test_mistakes_are_told_with_line_and_key(folders, tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(RequestError) as caught:
        read_study(written(tmp_path, GOOD.replace(old, new, 1)))
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "- a\n", "models: []\ntests: []\nname: x\n"])
def test_empty_studies(tmp_path, text):
    with pytest.raises(RequestError):
        read_study(written(tmp_path, text))


def test_names_of_studies(monkeypatch, tmp_path):
    monkeypatch.setenv("FLAIR_DATA", "/d")
    monkeypatch.setenv("FLAIR_WEIGHTS", "/w")
    monkeypatch.chdir(tmp_path)
    found = read_study("flair-table2")
    assert found.output == tmp_path / "flair-table2"
    assert [Path(item.weights).name for item in found.study.models] == [
        f"{item.model}_weights.pth" for item in found.study.models
    ]
    assert all(item.published_as == item.model for item in found.study.models)
    assert found.study.tests[0].data == "/d/flair-1-paths-test.csv"
    monkeypatch.delenv("FLAIR_WEIGHTS")
    with pytest.raises(RequestError, match="FLAIR_WEIGHTS is not set, needed 5 times from here on"):
        read_study("flair-table2")
    with pytest.raises(RequestError, match="Did you mean 'flair-table2'"):
        read_study("flair-table-2")
    with pytest.raises(RequestError, match="does not exist"):
        read_study("nowhere.yaml")


def test_folder_names():
    assert folder_name("rgb resnet34-unet") == "rgb_resnet34-unet"
    assert folder_name("../..") == "_"
    assert "/" not in folder_name("a/b\\c:d")
