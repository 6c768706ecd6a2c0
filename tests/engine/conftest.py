from __future__ import annotations

import os

import filelock
import pytest

from engine.inference.graph import cached_graph, export_graph
from engine.models.model_file import save_model
from engine.models.resolve import resolve_model
from engine.storage.inputs import forget
from tests.engine import storage_server, tiny

# Threads of torch wait for each other busily: with one set per test process they take ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# No test asks a server of the world; those of the hub have one of their own.
os.environ["HF_HUB_OFFLINE"] = "1"


class Recorder:
    """A reporter that remembers."""

    def __init__(self):
        self.fractions = []
        self.logs = []
        self.warnings = []
        self.results = []
        self.errors = []

    def progress(self, fraction, text="", eta=None):
        self.fractions.append(fraction)

    def log(self, text):
        self.logs.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def result(self, values):
        self.results.append(values)

    def error(self, kind, message, hint=""):
        self.errors.append((kind, message, hint))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """A cache of graphs that the tests of all workers share, and nothing else does."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "graph cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLAIR_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, shared_cache):
    """A small model file with an untrained network: (resolved model, manifest, network)."""
    described = tiny.manifest()
    made = tiny.network(described)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, made, described)
    return resolve_model(str(path)), described, made


@pytest.fixture(scope="session")
def tiny_graph(tiny_model, shared_cache):
    """The exported graph of `tiny_model`, made once for all workers."""
    model = tiny_model[0]
    with filelock.FileLock(shared_cache / "lock"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.inference.graph._working_memory", lambda exported, bands: 300.0)
        return cached_graph(model) or export_graph(model, Recorder())


@pytest.fixture(scope="session")
def storage_line():
    """The line to storage that speaks the protocol of S3, for all tests of a worker."""
    with storage_server.storage_server() as line:
        yield line


@pytest.fixture
def storage(storage_line, tmp_path, monkeypatch):
    """Storage with an empty bucket, reached through a line that counts; the environment names it."""
    for name in storage_server.VARIABLES:
        # Set first, so that what GDAL is told in the environment vanishes with the test.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in storage_server.environment(storage_line.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no credentials"))
    monkeypatch.setenv("FLAIR_WORK_DIR", str(tmp_path / "work"))
    forget()
    storage_line.rule()
    yield storage_server.Bucket(storage_line)
    storage_line.rule()
    forget()
