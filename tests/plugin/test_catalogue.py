import pytest
from helpers import ROOT

from flair_qgis.catalogue import catalogue, data_sets


def test_same_as_a_full_reader():
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load((ROOT / "resources" / "models.yaml").read_text(encoding="utf-8"))
    found = catalogue()
    assert list(found) == list(values["models"])
    for name, entry in values["models"].items():
        assert list(found[name].bands) == entry["bands"]
        distance = entry.get("ground_sampling_distance", values["defaults"]["ground_sampling_distance"])
        assert found[name].ground_sampling_distance == distance
        assert found[name].size_mb == entry.get("size_mb", 0)
        assert found[name].licence == entry.get("licence", values["defaults"]["licence"])


def test_data_sets_are_all_that_have_an_address():
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load((ROOT / "resources" / "datasets.yaml").read_text(encoding="utf-8"))
    assert data_sets() == list(values)
    assert data_sets()[0] == "flair-1"


def test_missing_catalogue(tmp_path):
    assert catalogue(tmp_path / "absent.yaml") == {}
    assert data_sets(tmp_path / "absent.yaml") == []
