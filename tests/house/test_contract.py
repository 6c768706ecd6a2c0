"""The dialogs' parameters and the engine's requests name the same things."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.recipe import Recipe
from engine.requests import COMMANDS, parse_request
from engine.training.presets import preset_names

ALGORITHMS = Path(__file__).resolve().parents[2] / "flair_qgis" / "algorithms"


@dataclass(frozen=True)
class Contract:
    """What a dialog and a request have in common, and what each has alone.

    Args:
        module: Module of the algorithm.
        outputs: Numbers and pages that only the algorithm gives back.
        dialog_only: Further ways to name something.
        engine_only: What QGIS knows by itself, or has no use for.
        renamed: Options by the parameter that stands for them.
        in_free_text: Options that have no parameter of their own, but can be written into one.
    """

    module: str
    outputs: frozenset[str]
    dialog_only: frozenset[str]
    engine_only: frozenset[str]
    renamed: tuple[tuple[str, str], ...] = ()
    in_free_text: frozenset[str] = frozenset()


TRAIN_PARAMETERS = {"architecture", "encoder", "encoder_weights", "freeze", "epochs", "batch_size", "learning_rate"}
PRODUCTS = ("rgb", "irc", "nir", "dsm", "dtm", "height")
CONTRACTS = {
    "prepare-input": Contract(
        "prepare_input",
        frozenset({"band_names", "pixels", "seconds"}),
        frozenset(f"{name}_folder" for name in PRODUCTS),
        frozenset({"resume"}),
    ),
    "prepare-time-series": Contract(
        "prepare_time_series",
        frozenset({"table", "kept", "dropped", "seconds"}),
        frozenset(),
        # what a layer of QGIS tells by itself
        frozenset({"crs", "resume"}),
    ),
    "models-download": Contract("download_model", frozenset({"model_file"}), frozenset(), frozenset()),
    "dataset-download": Contract(
        "download_dataset", frozenset({"files", "bytes"}), frozenset({"dataset_name"}), frozenset()
    ),
    "dataset-check": Contract("check_dataset", frozenset({"patches", "problems"}), frozenset(), frozenset()),
    "classify": Contract(
        "classify",
        frozenset({"pixels", "seconds"}),
        frozenset({"model_name"}),
        # one process uses all cores of QGIS's computer; clusters are for servers
        frozenset({"area_layer", "crs", "resume", "workers", "scheduler"}),
    ),
    "extract-patches": Contract(
        "extract_patches",
        frozenset({"table", "train_patches", "val_patches", "test_patches"}),
        frozenset({"labels_raster"}),
        frozenset({"area_layer", "label_layer", "crs", "resume"}),
    ),
    "benchmark": Contract(
        "benchmark",
        frozenset({"report", "results", "table2", "table3", "failed", "seconds"}),
        frozenset({"study_name", "data_folder", "weights_folder"}),
        frozenset(),
    ),
    "evaluate": Contract(
        "evaluate",
        frozenset({"miou", "overall_accuracy", "kappa", "fscore", "pixels", "seconds"})
        | {"report", "metrics", "confusion"},
        frozenset({"truth_raster", "model_name"}),
        frozenset({"area_layer", "truth_layer", "crs"}),
    ),
    "area-statistics": Contract(
        "area_statistics",
        frozenset({"polygons", "report", "table", "hectares", "seconds"}),
        frozenset(),
        # what a layer of QGIS tells by itself
        frozenset({"area_layer", "crs"}),
    ),
    "polygonise": Contract("polygonise", frozenset({"polygons", "seconds"}), frozenset(), frozenset({"layer", "crs"})),
    "change": Contract(
        "change",
        frozenset({"change_map", "report", "table", "changed", "compared", "seconds"}),
        frozenset(),
        frozenset({"area_layer"}),
    ),
    "remap-classes": Contract("remap_classes", frozenset({"pixels", "seconds"}), frozenset({"table"}), frozenset()),
    "train": Contract(
        "train",
        frozenset({"miou", "loss", "epoch", "seconds"}),
        frozenset({"preset_file", "start_from_name", "options"}),
        # several machines are started by torchrun or SLURM, not from a window
        frozenset({"nodes"}),
        (("model_title", "name"),),
        frozenset(Recipe.model_fields) - TRAIN_PARAMETERS,
    ),
}
# All that a request needs, to try one choice of another option.
NEEDED = {
    "prepare-input": {"rgb": "i.tif", "output": "o.tif"},
    "polygonise": {"input": "i.tif", "output": "o.gpkg"},
    "remap-classes": {"input": "i.tif", "output": "o.tif"},
    "dataset-check": {"folder": "d"},
    "classify": {"model": "m.safetensors", "input": "i.tif", "output": "o.tif"},
    "benchmark": {"study": "s.yaml"},
    "evaluate": {"model": "m.safetensors", "data": "d", "output": "o"},
    "train": {"data": "d", "output": "o.safetensors"},
}


def constants(*modules):
    """Return what the modules give to names in capitals at their top."""
    found = {}
    for module in modules:
        for node in ast.parse((ALGORITHMS / f"{module}.py").read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                try:
                    found[node.targets[0].id] = ast.literal_eval(node.value)
                except ValueError:
                    continue  # made of other names
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
                if name in found:
                    found[name] = found[name] + ast.literal_eval(node.value)
    return found


def parameters(contract):
    """Names of parameters, in lower case and as the request calls them."""
    renamed = dict(contract.renamed)
    names = {value.lower() for value in constants(contract.module).values() if isinstance(value, str)}
    assert contract.outputs <= names
    return {renamed.get(name, name) for name in names - contract.outputs}


@pytest.mark.parametrize("command", sorted(CONTRACTS))
def test_each_parameter_is_an_option_and_each_option_a_parameter(command):
    contract = CONTRACTS[command]
    options = set(COMMANDS[command].model_fields)
    assert contract.engine_only <= options
    assert contract.in_free_text <= options
    assert parameters(contract) - contract.dialog_only == options - contract.engine_only - contract.in_free_text


@pytest.mark.parametrize("command", sorted(CONTRACTS))
def test_what_stands_in_a_dialog_alone_does(command):
    contract = CONTRACTS[command]
    assert contract.dialog_only <= parameters(contract)
    assert not contract.dialog_only & set(COMMANDS[command].model_fields)


@pytest.mark.parametrize(
    ("command", "option", "constant"),
    [
        ("classify", "device", "DEVICES"),
        ("classify", "precision", "PRECISIONS"),
        ("benchmark", "device", "DEVICES"),
        ("evaluate", "device", "DEVICES"),
        ("evaluate", "definition", "DEFINITIONS"),
        ("evaluate", "split", "SPLITS"),
        ("train", "device", "DEVICES"),
        ("polygonise", "outline", "OUTLINES"),
        ("remap-classes", "mapping", "MAPPINGS"),
        ("train", "preset", "PRESETS"),
        ("train", "freeze", "FREEZES"),
        ("dataset-check", "layout", "LAYOUTS"),
        ("prepare-input", "height_unit", "UNITS"),
    ],
)
def test_each_choice_is_valid(command, option, constant):
    choices = constants("base", CONTRACTS[command].module)[constant]
    assert len(choices) > 1
    for choice in choices:
        assert getattr(parse_request(command, {**NEEDED[command], option: choice}), option) == choice


def test_each_layout_is_valid():
    outputs = {"single": "o.tif", "sheets": "o.vrt"}
    for choice in constants("classify")["LAYOUTS"]:
        values = {**NEEDED["classify"], "output": outputs[choice], "layout": choice}
        assert parse_request("classify", values).layout == choice


def test_all_presets_can_be_chosen():
    assert set(constants("train")["PRESETS"]) == set(preset_names())


def test_all_architectures_exist():
    import segmentation_models_pytorch

    known = {name.lower() for name in dir(segmentation_models_pytorch) if name[0].isupper()}
    choices = set(constants("train")["ARCHITECTURES"])
    assert "unet" in choices
    assert choices - {"utt"} <= known
