from __future__ import annotations

import threading
import zipfile

import numpy as np
import pytest

from engine.commands import dataset_download
from engine.requests import DatasetDownloadRequest
from tests.engine.acquisition.archive_server import ArchiveServer
from tests.engine.acquisition.flair_archives import one_archive


@pytest.fixture
def served(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def server(served):
    with ArchiveServer(served) as server:
        yield server


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses after a break as short as a test wants them."""
    from engine.acquisition import download, server

    class Quick(server.Server):
        def __init__(self, reporter, cancelled):
            super().__init__(reporter, cancelled, pause=0.01)

    monkeypatch.setattr(download, "Server", Quick)


@pytest.fixture
def archive(served):
    """Write an archive of random files, some of which can be packed; returns their content by name."""

    def make(name="a.zip", sizes=(40_000,) * 12 + (700_000, 0, 1), seed=0):
        generator = np.random.default_rng(seed)
        content = {}
        new = served / f"{name}.new"
        with zipfile.ZipFile(new, "w") as file:
            for number, size in enumerate(sizes):
                path = f"a/D006_2020/Z{number % 3}/img/IMG_{number:06d}.tif"
                content[path] = generator.integers(0, 256 if number % 2 else 16, size, dtype=np.uint8).tobytes()
                method = zipfile.ZIP_DEFLATED if number % 3 else zipfile.ZIP_STORED
                file.writestr(path, content[path], method)
        # A server has one version or the other open, never a file that is half of each.
        new.replace(served / name)
        return content

    return make


@pytest.fixture
def fetch(server, tmp_path, recorder):
    """Run the command on one archive of the server; returns its result."""

    def start(name="a.zip", *, cancelled=None, source=None, **options):
        sources = one_archive(tmp_path / "s.yaml", server.url, name, **(source or {}))
        values = {"output": str(tmp_path / "out"), "sources": sources, **options}
        return dataset_download.run(
            DatasetDownloadRequest.model_validate(values), recorder, cancelled or threading.Event()
        )

    return start
