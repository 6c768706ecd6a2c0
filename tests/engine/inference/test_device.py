from __future__ import annotations

import ctypes
import re
import sys

import pytest
import torch

from engine.errors import DeviceError
from engine.inference import device
from engine.inference.device import choose_device, cuda_device_count, why_unusable


@pytest.mark.parametrize(
    ("gpus", "mps", "wanted", "expected"),
    [
        (0, False, "auto", "cpu"),
        (2, False, "auto", "cuda"),
        (0, True, "auto", "mps"),
        (2, True, "cpu", "cpu"),
        (1, False, "cuda", "cuda"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
    ],
)
def test_the_device_asked_for_is_taken(monkeypatch, gpus, mps, wanted, expected):
    monkeypatch.setattr(device, "cuda_device_count", lambda: gpus)
    monkeypatch.setattr(device, "has_mps", lambda: mps)
    monkeypatch.setattr(device, "why_unusable", lambda name: None)
    assert choose_device(wanted) == expected


@pytest.mark.parametrize(("gpus", "mps"), [(1, False), (0, True)])
def test_a_gpu_that_torch_cannot_use_is_passed_by_and_told(monkeypatch, recorder, gpus, mps):
    monkeypatch.setattr(device, "cuda_device_count", lambda: gpus)
    monkeypatch.setattr(device, "has_mps", lambda: mps)
    monkeypatch.setattr(device, "why_unusable", lambda name: "the card is too old")
    assert choose_device("auto", recorder) == "cpu"
    assert "the card is too old" in recorder.warnings[0]
    with pytest.raises(DeviceError, match="the card is too old"):
        choose_device("mps" if mps else "cuda", recorder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU that works")
def test_torch_itself_says_why_there_is_nothing_to_compute_on():
    assert re.search("CPUs alone|does not get along", why_unusable("cuda"))
    assert why_unusable("mps")


@pytest.mark.parametrize(
    ("gpus", "wanted", "text"),
    [(0, "cuda", "no NVIDIA GPU"), (0, "cuda:0", "no NVIDIA GPU"), (2, "cuda:2", "2 NVIDIA"), (1, "mps", "Apple")],
)
def test_an_absent_device_is_an_error_with_a_way_out(monkeypatch, gpus, wanted, text):
    monkeypatch.setattr(device, "cuda_device_count", lambda: gpus)
    monkeypatch.setattr(device, "has_mps", lambda: False)
    with pytest.raises(DeviceError, match=text) as caught:
        choose_device(wanted)
    assert "--device" in caught.value.hint
    assert caught.value.exit_code == 6


class Driver:
    def __init__(self, initialised=0, counted=0, count=3):
        self.initialised, self.counted, self.count = initialised, counted, count

    def cuInit(self, flags):  # noqa: N802 - the driver's name
        return self.initialised

    def cuDeviceGetCount(self, pointer):  # noqa: N802 - the driver's name
        pointer._obj.value = self.count
        return self.counted


@pytest.mark.parametrize(
    ("driver", "expected"),
    [(Driver(), 3), (Driver(count=0), 0), (Driver(initialised=100), 0), (Driver(counted=1), 0)],
)
def test_gpus_are_counted_by_the_driver(monkeypatch, driver, expected):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert cuda_device_count() == expected


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda_device_count() == 0


@pytest.mark.parametrize(("system", "machine", "expected"), [("darwin", "arm64", True), ("darwin", "x86_64", False)])
def test_apple_gpus_are_those_of_apple_silicon(monkeypatch, system, machine, expected):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(device.platform, "machine", lambda: machine)
    assert device.has_mps() is expected
