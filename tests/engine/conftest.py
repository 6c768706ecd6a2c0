from __future__ import annotations

import pytest

from engine.models.model_file import save_model
from engine.models.resolve import resolve_model
from tests.engine import tiny


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
    """A cache of graphs that all tests of one worker use, and nothing else."""
    folder = tmp_path_factory.mktemp("cache")
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
