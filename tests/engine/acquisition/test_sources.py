"""The data sets that the project knows, and what can be asked for of each."""

from __future__ import annotations

import threading
import zipfile

import pytest
import yaml

from engine.acquisition.selection import Selection, modality_of
from engine.acquisition.sizes import readable
from engine.acquisition.sources import find_source
from engine.commands import dataset_download
from engine.data.official_split import OfficialSplit, domain_of, is_domain
from engine.errors import InputError, RequestError
from engine.requests import DatasetDownloadRequest
from engine.resources import RESOURCES
from tests.engine.acquisition.flair_archives import files, sources

NAMES = list(yaml.safe_load((RESOURCES / "datasets.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_is_whole(name):
    source = find_source(name)
    assert source.licence == "etalab-2.0"
    assert source.title
    assert set(source.default) <= set(source.modalities)
    for file in source.files:
        assert file.url.startswith("https://")
        assert file.name.endswith((".zip", ".gpkg"))
        assert " " not in file.url
    # What the request's own description promises is there.
    assert name in DatasetDownloadRequest.model_fields["dataset"].description
    assert len(Selection.of(source, None, None, None).files(source)) >= 1


def test_flair_1_as_published():
    source = find_source("flair-1")
    wanted = Selection.of(source, None, None, None)
    assert wanted.lists
    assert sum(file.size for file in wanted.files(source)) == pytest.approx(64.7e9, rel=0.01)
    test = Selection.of(source, ["aerial", "labels"], ["test"], None).files(source)
    assert [file.name for file in test] == ["flair_1_labels_test.zip", "flair_1_aerial_test.zip"]


def test_flair_2_has_series_that_are_fetched_only_when_asked_for():
    source = find_source("flair-2")
    default = Selection.of(source, None, None, None).files(source)
    assert not any("_sen_" in file.name for file in default)
    series = Selection.of(source, ["sentinel2"], None, None).files(source)
    assert [file.name for file in series] == ["flair_sen_train.zip", "flair_2_sen_test.zip"]


def test_hub_has_a_file_for_each_domain_and_modality():
    source = find_source("flair-hub")
    assert len({file.domain for file in source.files if file.domain}) == 74
    wanted = Selection.of(source, ["aerial", "elevation"], None, ["D012", "D033-2018"]).files(source)
    assert [file.name for file in wanted] == [
        f"{domain}_{kind}.zip" for kind in ("AERIAL_RGBI", "DEM_ELEV") for domain in ("D012-2019", "D033-2018")
    ]
    with pytest.raises(RequestError, match="no domain 'D099'"):
        Selection.of(source, None, None, ["D099"]).files(source)
    with pytest.raises(RequestError, match="Choose by 'domains'"):
        Selection.of(source, None, ["val"], None)


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("flair_1_toy_dataset/train/flair_1_toy_aerial_train/D004_2021/Z10_AU/img/IMG_000883.tif", "aerial"),
        ("flair_1_toy_dataset/train/flair_1_toy_labels_train/D004_2021/Z10_AU/msk/MSK_000883.tif", "labels"),
        ("flair_2_toy_dataset/flair_2_toy_sen_train/D004_2021/Z10_AU/sen/SEN2_sp_D004_data.npy", "sentinel2"),
        ("flair_2_toy_dataset/flair_2_toy_sen_train/D004_2021/Z10_AU/sen/SEN2_sp_D004_products.txt", "sentinel2"),
        ("flair_1_toy_dataset/flair-1_metadata_aerial.json", "metadata"),
        ("FLAIR-HUB_TOY/D012-2019_AERIAL_RGBI/AF-S1-27/D012-2019_AERIAL_RGBI_AF-S1-27_5-10.tif", "aerial"),
        ("D012-2019_AERIAL_LABEL-COSIA/AF-S1-27/D012-2019_AERIAL_LABEL-COSIA_AF-S1-27_5-10.tif", "labels"),
        ("D012-2019_ALL_LABEL-LPIS/AF-S1-27/D012-2019_ALL_LABEL-LPIS_AF-S1-27_5-10.tif", "crops"),
        ("D012-2019_DEM_ELEV/AF-S1-27/D012-2019_DEM_ELEV_AF-S1-27_5-10.tif", "elevation"),
        ("D012-2019_SENTINEL1-ASC_TS/AF-S1-27/D012-2019_SENTINEL1-ASC_TS_AF-S1-27_5-10.tif", "sentinel1"),
        ("D012-2019_SENTINEL2_MSK-SC/AF-S1-27/D012-2019_SENTINEL2_MSK-SC_AF-S1-27_5-10.tif", "sentinel2"),
        ("D012-195X_AERIAL-RLT_PAN/AF-S1-27/D012-195X_AERIAL-RLT_PAN_AF-S1-27_5-10.tif", "historical"),
        ("D012-2019_SPOT_RGBI/AF-S1-27/D012-2019_SPOT_RGBI_AF-S1-27_5-10.tif", "spot"),
    ],
)
def test_the_modality_of_a_file_by_its_path(path, modality):
    assert modality_of(path) == modality


def test_domains_and_splits_of_paths():
    assert domain_of("flair_aerial_train/D004_2021/Z1/img/IMG_1.tif") == "D004_2021"
    assert domain_of("D033-2018_AERIAL_RGBI/x.tif") == "D033_2018"
    assert domain_of("D054057-2018_DEM_ELEV") == "D054057_2018"
    assert domain_of("D02A_2019/x") == "D02A_2019"
    assert domain_of("ID004_2021/x") == domain_of("D4_2021") == domain_of("IMG_000004_2021.tif") == ""
    assert is_domain("D004_2021", "d004")
    assert is_domain("D004_2021", "D004-2021")
    assert not is_domain("D004_2021", "D00")
    official = OfficialSplit.load("flair-1")
    assert (len(official.test), len(official.val)) == (10, 8)
    assert not official.test & official.val
    assert official.of("a/D012_2019/x.tif") == "test"
    assert official.of("a/D004_2021/x.tif") == "val"
    assert official.of("a/D006_2020/x.tif") == "train"
    # The other test set of FLAIR #2.
    assert official.of("flair_2_aerial_test/D015_2020/x.tif") == "test"
    assert official.of("readme.txt") == ""
    with pytest.raises(InputError, match=r"Known ones: .*flair-1"):
        OfficialSplit.load("flair-9")


def test_a_mixed_archive_gives_the_parts_that_are_asked_for(server, served, tmp_path, recorder):
    paths = {
        "toy/toy_aerial_train/D004_2021/Z1_AU/img/IMG_000883.tif": b"1" * 500,
        "toy/toy_labels_train/D004_2021/Z1_AU/msk/MSK_000883.tif": b"2" * 500,
        "toy/toy_aerial_test/D012_2019/Z1_AU/img/IMG_000001.tif": b"3" * 500,
        "toy/read me.json": b"4" * 500,
    }
    with zipfile.ZipFile(served / "toy.zip", "w") as file:
        for path, content in paths.items():
            file.writestr(path, content)
    listed = sources(tmp_path / "s.yaml", server.url, files=[{"url": "toy.zip", "modality": "by path"}])

    def fetch(**options):
        output = str(tmp_path / f"out {len(recorder.logs)}")
        request = DatasetDownloadRequest(sources=listed, output=output, **options)
        dataset_download.run(request, recorder, threading.Event())
        return [name.rpartition("/")[2] for name in files(output)]

    assert fetch(modalities=["aerial"]) == ["IMG_000001.tif", "IMG_000883.tif"]
    assert fetch(modalities=["aerial", "labels"], splits=["val"]) == ["IMG_000883.tif", "MSK_000883.tif"]
    assert fetch(modalities=["metadata"]) == ["read me.json"]
    assert len(fetch()) == 4


def test_an_archive_for_each_domain(server, served, tmp_path, recorder):
    for domain in ("D012-2019", "D013-2020"):
        for kind in ("AERIAL_RGBI", "AERIAL_LABEL-COSIA"):
            with zipfile.ZipFile(served / f"{domain}_{kind}.zip", "w") as file:
                file.writestr(f"{domain}_{kind}/AF-S1-27/{domain}_{kind}_AF-S1-27_5-10.tif", domain * 100)
    listed = sources(
        tmp_path / "s.yaml",
        server.url,
        layout="flair-hub",
        splits="",
        default=["labels", "aerial"],
        domains=["D012-2019", "D013-2020"],
        files=[
            {"url": "{domain}_AERIAL_LABEL-COSIA.zip", "modality": "labels"},
            {"url": "{domain}_AERIAL_RGBI.zip", "modality": "aerial"},
        ],
    )
    request = DatasetDownloadRequest(sources=listed, output=str(tmp_path / "out"), domains=["D013"])
    result = dataset_download.run(request, recorder, threading.Event())
    assert result["files"] == 2
    assert {name.partition("/")[0] for name in files(tmp_path / "out")} == {
        "D013-2020_AERIAL_RGBI",
        "D013-2020_AERIAL_LABEL-COSIA",
    }
    assert {name for name, _ in server.requests} == {"D013-2020_AERIAL_RGBI.zip", "D013-2020_AERIAL_LABEL-COSIA.zip"}


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (485e6, "485 MB"), (50.7e9, "50.7 GB"),
     (999_700, "1.0 MB"), (7.5e11, "750 GB"), (1.5e12, "1.5 TB")],
)  # fmt: skip
def test_amounts_as_people_read_them(count, text):
    assert readable(count) == text
