"""The command as a person runs it: the whole, parts of it, twice in a row, into what is there."""

from __future__ import annotations

import hashlib
import threading

import pytest

from engine.commands import dataset_download
from engine.data.dataset import open_dataset
from engine.data.patch_index import index_patches
from engine.errors import OutputError, RequestError
from engine.requests import DatasetDownloadRequest
from tests.engine import tiny
from tests.engine.acquisition.archive_server import ArchiveServer
from tests.engine.acquisition.flair_archives import DOMAINS, PER_DOMAIN, files, make_archives, sources

PLAIN = {"flair-1_metadata_aerial.json", "flair_1_shapes.gpkg"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flair")
    made = make_archives(folder / "content", folder / "served")
    return folder, made, files(folder / "content")


@pytest.fixture
def server(packed):
    with ArchiveServer(packed[0] / "served") as server:
        yield server


@pytest.fixture
def download(server, tmp_path, recorder):
    def start(**options):
        values = {"output": str(tmp_path / "out"), "sources": sources(tmp_path / "s.yaml", server.url), **options}
        return dataset_download.run(DatasetDownloadRequest.model_validate(values), recorder, threading.Event())

    return start


def test_all_of_it_then_nothing_more(download, server, packed, tmp_path, recorder):
    result = download()
    got = files(tmp_path / "out")
    assert set(got) - set(packed[2]) == PLAIN
    assert {name: got[name] for name in packed[2]} == packed[2]
    assert result["files"] == len(got)
    assert result["patches"] == {"train": 2 * PER_DOMAIN, "val": PER_DOMAIN, "test": PER_DOMAIN}
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "out" / "checksums.sha256").read_text().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in got.items()}
    index = index_patches(open_dataset(str(tmp_path / "out")), recorder, threading.Event())
    assert {split: len(pairs) for split, pairs in index.pairs.items()} == result["patches"]
    assert recorder.fractions == sorted(recorder.fractions)
    assert recorder.fractions[-1] == 1
    server.forget()
    again = download()
    assert again["fetched"] == 0
    assert again["files"] == result["files"]
    # Each file is asked for its version, and for nothing else.
    assert sorted(server.requests) == sorted((path.name, "bytes=0-0") for path in server.folder.iterdir())
    assert "Everything that was asked for is there, and sound." in recorder.logs


def test_the_size_is_said_and_nothing_is_written(download, server, packed, tmp_path, recorder):
    result = download(only_size=True)
    assert not (tmp_path / "out").exists()
    plain = sum((server.folder / name).stat().st_size for name in ("flair_1_shapes.gpkg",))
    images = sum(len(content) for name, content in packed[2].items() if "aerial" in name)
    assert result["parts"]["aerial"]["unpacked"] == images
    assert result["parts"]["aerial"]["files"] == len(DOMAINS) * PER_DOMAIN
    assert plain < result["to_fetch"] < sum(path.stat().st_size for path in server.folder.iterdir())
    assert any(line.startswith("aerial: ") and "to fetch" in line for line in recorder.logs)
    assert any(line.startswith("in all: ") for line in recorder.logs)


@pytest.mark.parametrize(
    ("options", "parts", "domains"),
    [
        ({"modalities": "labels"}, ("labels",), tuple(DOMAINS)),
        ({"modalities": "aerial labels", "splits": "val"}, ("aerial", "labels"), ("D004_2021",)),
        ({"modalities": "aerial", "splits": "test,val"}, ("aerial",), ("D004_2021", "D012_2019")),
        ({"modalities": "aerial,labels", "splits": "train"}, ("aerial", "labels"), ("D006_2020", "D091_2021")),
        ({"modalities": "aerial,labels", "domains": "D091"}, ("aerial", "labels"), ("D091_2021",)),
        ({"modalities": "aerial", "domains": "D006-2020 d012"}, ("aerial",), ("D006_2020", "D012_2019")),
    ],
)
def test_parts_of_it(download, packed, tmp_path, options, parts, domains):
    download(**options)
    expected = {
        name: content
        for name, content in packed[2].items()
        if any(f"_{part}_" in name for part in parts) and any(domain in name for domain in domains)
    }
    assert len(expected) == len(parts) * len(domains) * PER_DOMAIN
    assert files(tmp_path / "out") == expected


def test_archives_of_other_splits_are_not_even_asked_for(download, server):
    download(splits="test", modalities="aerial,labels")
    assert {name for name, _ in server.requests} == {"flair_1_aerial_test.zip", "flair_1_labels_test.zip"}


def test_what_was_fetched_by_other_means_is_taken_over_and_mended(download, server, packed, tmp_path, recorder):
    names = sorted(name for name in packed[2] if "aerial" in name)
    for name in names:
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed[2][name])
    spoilt, short, lost = names[1], names[5], names[9]
    content = bytearray(packed[2][spoilt])
    content[-100] ^= 1
    (tmp_path / "out" / spoilt).write_bytes(content)
    (tmp_path / "out" / short).write_bytes(packed[2][short][:-5])
    (tmp_path / "out" / lost).unlink()
    result = download(modalities="aerial")
    assert files(tmp_path / "out") == {name: packed[2][name] for name in names}
    assert any("2 files that are there differ" in line for line in recorder.logs)
    # Three patches of some 22 kB in reach of each other, not all sixteen.
    assert result["fetched"] < 6 * len(packed[2][names[0]])
    # After a complete run everything is looked at again, whatever its time says.
    (tmp_path / "out" / spoilt).write_bytes(content)
    download(modalities="aerial")
    assert (tmp_path / "out" / spoilt).read_bytes() == packed[2][spoilt]


def test_archives_can_be_kept(download, server, packed, tmp_path):
    result = download(keep_archives=True)
    for path in server.folder.iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    got = files(tmp_path / "out")
    assert {name: got[name] for name in packed[2]} == packed[2]
    assert result["fetched"] == sum(path.stat().st_size for path in server.folder.iterdir())
    server.forget()
    (tmp_path / "out" / min(packed[2])).unlink()
    assert download(keep_archives=True)["fetched"] == 0
    assert (tmp_path / "out" / min(packed[2])).read_bytes() == packed[2][min(packed[2])]


def test_lists_that_a_person_made_are_kept(download, tmp_path, recorder):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.csv").write_text("mine.tif,mine_mask.tif\n")
    download()
    assert (tmp_path / "out" / "train.csv.old").read_text() == "mine.tif,mine_mask.tif\n"
    assert "IMG_000001" in (tmp_path / "out" / "train.csv").read_text()


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"dataset": "flair1"}, RequestError, "Did you mean 'flair-1'?"),
        ({"modalities": "arial"}, RequestError, "Did you mean 'aerial'?"),
        ({"splits": "vall"}, RequestError, "Did you mean 'val'?"),
        ({"domains": "D13"}, RequestError, "There is no domain 'D13' among the 4"),
        ({"domains": "D012_2021"}, RequestError, "D012_2019"),
    ],
)
def test_what_does_not_exist_is_named_with_the_nearest(download, options, kind, text):
    with pytest.raises(kind) as caught:
        download(**options)
    assert text in str(caught.value)


def test_an_output_that_is_a_file(download, tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match="is a file"):
        download()
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"licences": "x"}, "unknown key 'licences'. Did you mean 'licence'?"),
        ({"files": [{"url": "a.zip", "modality": "x", "splitt": "y"}]}, "'files.0.splitt'. Did you mean 'split'?"),
        ({"files": [{"url": "a.zip"}]}, "'files.0.modality' is missing"),
        ({"base": "ftp://x/"}, "no address that begins with https://"),
        ({"base": "file:///etc/"}, "no address that begins with https://"),
        ({"base": ""}, "no address that begins with https://"),
        ({"layout": "flair"}, "'layout' must be one of"),
        ({"files": [{"url": "a.zip", "modality": "aerial", "sha256": "12"}]}, "'files.0.sha256'"),
        ({"files": [{"url": "a.zip", "modality": "aerial", "size": "3"}]}, "'3' is no number with one of kB"),
        ({"files": [{"url": "a.zip", "modality": "aerial"}] * 2}, "another file is called 'a.zip'"),
        ({"files": []}, "'files'"),
    ],
)
def test_sources_with_mistakes(download, server, tmp_path, changes, text):
    with pytest.raises(RequestError) as caught:
        download(sources=sources(tmp_path / "wrong.yaml", server.url, **changes))
    assert text in str(caught.value)
    assert "'wrong.yaml', line" in caught.value.message


def test_sources_that_are_none(download, tmp_path):
    (tmp_path / "a.yaml").write_text("{")
    (tmp_path / "b.yaml").write_text("")
    (tmp_path / "d.yaml").write_text("flair-1: 3")
    mistakes = {"a.yaml": "not valid YAML", "b.yaml": "holds no keys", "c.yaml": "cannot be", "d.yaml": "group of keys"}
    for name, text in mistakes.items():
        with pytest.raises(RequestError, match=text):
            download(sources=str(tmp_path / name))


def test_from_the_command_line(server, tmp_path):
    arguments = ["dataset", "download", "flair-1", "--output", tmp_path / "out", "--modalities", "labels", "lists"]
    done = tiny.engine(*arguments, "--sources", sources(tmp_path / "s.yaml", server.url))
    assert done.returncode == 0, done.stderr
    assert "labels: " in done.stderr
    assert "No lists are written, since they need images and labels." in done.stderr
    assert (tmp_path / "out" / "flair_1_labels_test").is_dir()
