"""The dialog's parameters and the engine's requests name the same things."""

import ast
from pathlib import Path

import pytest

from engine.requests import ClassifyRequest, parse_request

ROOT = Path(__file__).resolve().parents[2]
# What a dialog adds: the two ways to name a model, and what an algorithm gives back.
DIALOG_ONLY = {"model_name", "pixels", "seconds"}
# What QGIS knows by itself or has no use for.
ENGINE_ONLY = {"area_layer", "crs", "resume"}


def constants() -> dict[str, object]:
    tree = ast.parse((ROOT / "flair_qgis" / "algorithms" / "classify.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def test_each_parameter_is_an_option_and_each_option_a_parameter():
    parameters = {value.lower() for name, value in constants().items() if value == name}
    assert parameters - DIALOG_ONLY == set(ClassifyRequest.model_fields) - ENGINE_ONLY


@pytest.mark.parametrize(("option", "constant"), [("device", "DEVICES"), ("precision", "PRECISIONS")])
def test_each_choice_is_valid(option, constant):
    for choice in constants()[constant]:
        values = {"model": "m.safetensors", "input": "i.tif", "output": "o.tif", option: choice}
        assert getattr(parse_request("classify", values), option) == choice


def test_each_layout_is_valid():
    outputs = {"single": "o.tif", "sheets": "o.vrt"}
    for choice in constants()["LAYOUTS"]:
        values = {"model": "m.safetensors", "input": "i.tif", "output": outputs[choice], "layout": choice}
        assert parse_request("classify", values).layout == choice
