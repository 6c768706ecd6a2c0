from __future__ import annotations

import threading

import pytest

from engine.commands import evaluate as evaluate_command
from engine.commands import extract_patches, prepare_input
from engine.requests import EvaluateRequest, ExtractPatchesRequest, PrepareInputRequest
from tests.engine import tiny
from tests.engine.commands.prepared_scene import write_parts
from tests.engine.patch_sets import HEIGHT, ORIGIN, WIDTH, squares


@pytest.fixture
def extract(tmp_path, recorder):
    """Run the command on patches of 64 pixels; returns its result."""

    def start(image, labels, *, cancelled=None, reporter=None, **options):
        values = {"image": image, "labels": labels, "output": str(tmp_path / "ds"), "patch_size": 64, **options}
        request = ExtractPatchesRequest.model_validate(values)
        return extract_patches.run(request, reporter or recorder, cancelled or threading.Event())

    return start


@pytest.fixture
def evaluate(tmp_path, recorder):
    """Run the command with blocks of 64 pixels; returns its result."""

    def start(*, cancelled=None, **options):
        values = {"output": str(tmp_path / "ev"), **options}
        if "prediction" in options:
            values = {"block": 64, **values}
        return evaluate_command.run(EvaluateRequest.model_validate(values), recorder, cancelled or threading.Event())

    return start


@pytest.fixture
def image(tmp_path):
    pixels = tiny.smooth(3, HEIGHT, WIDTH)
    return tiny.write(tmp_path / "ortho_2021.tif", pixels, transform=ORIGIN), pixels


@pytest.fixture
def labels(tmp_path):
    codes = squares()
    return tiny.write(tmp_path / "labels.tif", codes[None], transform=ORIGIN, nodata=0), codes


@pytest.fixture
def make(tmp_path, recorder):
    """Prepare an image; returns the command's result."""

    def start(*, cancelled=None, reporter=None, **options):
        values = {"output": str(tmp_path / "out.tif"), **options}
        request = PrepareInputRequest.model_validate(values)
        return prepare_input.run(request, reporter or recorder, cancelled or threading.Event())

    return start


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A scene of 600 x 500 pixels with its parts as they are delivered."""
    return write_parts(tmp_path_factory.mktemp("scene"), 600, 500)
