from __future__ import annotations

import pytest

from tests.engine.hub.local_hub import local_hub


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with local_hub(monkeypatch, tmp_path) as server:
        yield server
