"""Files of IGN's tools as they lie on a disk: configurations, weights, patches."""

from __future__ import annotations

import yaml

from engine.ign.detection import flair_classes
from engine.nomenclature import load_nomenclature
from tests.engine import tiny

MEANS = [105.08, 110.87, 101.82]
STDS = [52.17, 45.38, 44.0]


def flair_manifest(bands=("red", "green", "blue"), classes=19):
    return tiny.manifest("weights", bands=bands, nomenclature=flair_classes(classes))


def write_weights(path, described=None, seed=0, prefix="model.seg_model."):
    """Write a checkpoint as IGN's tools do, the loss's weights included; returns the network."""
    import torch

    described = described or flair_manifest()
    made = tiny.network(described, seed)
    state = {f"{prefix}{name}": tensor for name, tensor in made.state_dict().items()}
    state["criterion.weight"] = torch.ones(len(described.nomenclature.classes))
    torch.save(state, path)
    return made


def detect_values(folder, image, weights, **changes):
    """Return the present schema of flair-1-config-detect.yaml; None removes a key."""
    values = {
        "output_path": str(folder / "out"),
        "output_name": "map",
        "input_img_path": str(image),
        "channels": [1, 2, 3],
        "img_pixels_detection": 64,
        "margin": 16,
        "output_type": "argmax",
        "n_classes": 19,
        "model_weights": str(weights),
        "model_framework": {
            "model_provider": "SegmentationModelsPytorch",
            "HuggingFace": {"org_model": None},
            "SegmentationModelsPytorch": {"encoder_decoder": "mobilenet_v2_unet"},
        },
        "batch_size": 4,
        "use_gpu": False,
        "num_worker": 2,
        "write_dataframe": False,
        "norma_task": [{"norm_type": "custom", "norm_means": MEANS, "norm_stds": STDS}],
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def write_conf(folder, values, name="conf.yaml"):
    path = folder / name
    path.write_text(
        values if isinstance(values, str) else yaml.safe_dump(values, sort_keys=False, default_flow_style=None)
    )
    return path


def flair_class_list():
    """Return FLAIR-1's `classes`: value: [weight, name]."""
    return {item.code: [0 if item.disabled else 1, item.name] for item in load_nomenclature("flair").classes}
