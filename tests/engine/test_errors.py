from __future__ import annotations

import typing

import pytest

from engine import errors
from engine.errors import EXIT_CODES, EngineError, ErrorKind


def test_every_kind_has_a_code_of_its_own_and_none_is_0():
    assert set(EXIT_CODES) == set(typing.get_args(ErrorKind))
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)
    assert all(0 < code < 256 for code in EXIT_CODES.values())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("request", "RequestError"),
        ("input", "InputError"),
        ("model", "ModelError"),
        ("output", "OutputError"),
        ("device", "DeviceError"),
        ("memory", "OutOfMemoryError"),
    ],
)
def test_an_error_says_the_cause_and_the_way_out(kind, name):
    error = getattr(errors, name)("It is so.", "Do this.")
    assert isinstance(error, EngineError)
    assert error.kind == kind
    assert error.exit_code == EXIT_CODES[kind]
    assert str(error) == "It is so. Do this."
    assert str(getattr(errors, name)("It is so.")) == "It is so."


def test_cancelling_ends_like_an_interrupted_program():
    assert errors.Cancelled().exit_code == 130
