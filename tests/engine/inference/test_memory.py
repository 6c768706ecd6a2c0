from __future__ import annotations

from types import SimpleNamespace

import pytest

from engine.inference import memory
from engine.inference.memory import available_memory, cpu_budget, largest_window


@pytest.fixture
def system(monkeypatch, tmp_path):
    """Set what the system and the container say."""

    def say(available, limit=None, usage=None):
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
        files = (tmp_path / "limit", tmp_path / "usage")
        if limit is not None:
            files[0].write_text(f"{limit}\n")
            files[1].write_text(f"{usage}\n")
        monkeypatch.setattr(memory, "CGROUP_FILES", (files,))

    return say


def test_without_a_container_the_system_decides(system):
    system(5e9)
    assert available_memory() == 5e9


def test_a_containers_limit_counts(system):
    system(64e9, int(2e9), int(0.5e9))
    assert available_memory() == 1.5e9


def test_a_container_without_limit_does_not(system):
    system(3e9, "max", int(1e9))
    assert available_memory() == 3e9


def test_a_container_over_its_limit_leaves_nothing(system):
    system(3e9, int(1e9), int(2e9))
    assert available_memory() == 0
    assert largest_window(cpu_budget(None), 700, 1600) == memory.SMALLEST_WINDOW


def test_the_budget_is_what_is_allowed_and_there(system):
    system(100e9)
    assert cpu_budget(None) == memory.DEFAULT_CPU_BUDGET
    assert cpu_budget(4.0) == 4e9
    system(1e9)
    assert cpu_budget(None) == 0.6e9
    assert cpu_budget(4.0) == 0.6e9


@pytest.mark.parametrize("budget", [0.0, 1e6, 3e8, 1.4e9, 1e12])
@pytest.mark.parametrize("per_pixel", [0.0, 50.0, 700.0, 5000.0])
def test_a_window_fits_and_is_a_multiple_of_the_stride(budget, per_pixel):
    side = largest_window(budget, per_pixel, 1600)
    assert side % 32 == 0
    assert 256 <= side <= 1600
    assert side == 256 or side * side * per_pixel <= budget
