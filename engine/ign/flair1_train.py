"""The schema of `flair-1-config.yaml`, in its present and in its older form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.ign.bands import NormType
from engine.ign.framework import ModelFramework, network_names
from engine.ign.schema import Channels, Group, Numbers, Text
from engine.nomenclature import SPARE_COLORS, LandCoverClass, Nomenclature, load_nomenclature
from engine.yaml_file import YamlFile

WEIGHT_LIMIT = 1e6


class Paths(Group):
    """Where everything lies."""

    out_folder: Text
    out_model_name: Text
    train_csv: Text = ""
    val_csv: Text = ""
    test_csv: Text = ""
    ckpt_model_path: Text = ""
    path_metadata_aerial: Text = ""


class TrainTasks(Group):
    """How a training begins."""

    init_weights_only_from_ckpt: bool = False
    resume_training_from_ckpt: bool = False


class Tasks(Group):
    """What is done; `train_load_ckpt` is the older schema's."""

    train: bool = False
    train_load_ckpt: bool = False
    train_tasks: TrainTasks = TrainTasks.model_validate({})
    predict: bool = False
    metrics: bool = False
    delete_preds: bool = False


class Flair1Train(Group):
    """All keys of the file; `model_architecture`, `model_name`, `encoder_name` and `bands` are the older schema's."""

    paths: Paths
    tasks: Tasks
    model_framework: ModelFramework | None = None
    model_architecture: Text = ""
    model_name: Text = ""
    encoder_name: Text = ""
    use_augmentation: bool = True
    use_metadata: bool = False
    channels: Channels | None = None
    bands: Channels | None = None
    norm_type: NormType = "scaling"
    norm_means: Numbers = ()
    norm_stds: Numbers = ()
    seed: int = Field(2022, ge=0, lt=2**31)
    batch_size: int = Field(5, ge=1)
    learning_rate: float = Field(0.02, gt=0)
    num_epochs: int = Field(3, ge=1)
    use_weights: bool = True
    supervision_starts_at_one: bool = True
    classes: dict[int, tuple[Annotated[float, Field(ge=0, le=WEIGHT_LIMIT)], Text]]
    georeferencing_output: bool = True
    accelerator: Literal["gpu", "cpu"] = "gpu"
    num_nodes: int = Field(1, ge=1)
    gpus_per_node: int = Field(1, ge=1)
    strategy: Text = ""
    num_workers: int = Field(0, ge=0)
    ckpt_save_also_last: bool = False
    ckpt_verbose: bool = False
    ckpt_weights_only: bool = False
    ckpt_monitor: Literal["val_loss", "val_miou"] = "val_loss"
    ckpt_monitor_mode: Literal["min", "max"] = "min"
    ckpt_earlystopping_patience: int = Field(30, ge=0)
    cp_csv_and_conf_to_output: bool = True
    enable_progress_bar: bool = True
    progress_rate: int = Field(10, ge=0)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Band numbers in the image files, from 1, in the network's order."""
        return tuple(self.channels or self.bands or ())

    def nomenclature(self, *, masked: bool = True) -> Nomenclature:
        """Return the classes in the order of the network's outputs.

        Args:
            masked: Whether classes of weight 0 are disabled.
        """
        flair = {item.name: item.color for item in load_nomenclature("flair").classes}
        return Nomenclature(
            "classes of the file",
            tuple(
                LandCoverClass(
                    value,
                    name or f"class {value}",
                    flair.get(name.replace("_", " ").lower(), SPARE_COLORS[(value - 1) % len(SPARE_COLORS)]),
                    disabled=masked and weight == 0,
                )
                for value, (weight, name) in sorted(self.classes.items())
            ),
        )


# Keys that have no counterpart because ours does it always, or does without.
UNNEEDED = {
    "strategy": "chosen by the devices",
    "num_workers": "chosen by the device",
    "ckpt_save_also_last": "the last state is always kept until the training is complete",
    "ckpt_weights_only": "a model file holds weights and what they mean",
    "ckpt_verbose": "each epoch is told",
    "enable_progress_bar": "progress is shown on a terminal",
    "progress_rate": "progress is shown on a terminal",
}


def read_flair1_train(file: YamlFile) -> tuple[Flair1Train, tuple[str, str]]:
    """Return such a file, and the architecture and encoder that it names.

    Raises:
        RequestError: It is not written in this schema, or asks for what this engine does not do.
    """
    conf = file.checked(Flair1Train)
    if bool(conf.channels) == bool(conf.bands):
        both = "both name" if conf.channels else "do not name"
        raise file.error(("bands",), f"'channels' and 'bands' {both} the bands.", "Write 'channels: [1, 2, 3]'.")
    for key in ("out_folder", "out_model_name"):
        if not getattr(conf.paths, key):
            raise file.error(("paths", key), f"'{key}' is empty.", "Say where the results are to go.")
    if not (conf.tasks.train or conf.tasks.predict or conf.tasks.metrics):
        raise file.error(("tasks",), "nothing is to be done.", "Set train, predict or metrics to True.")
    if conf.use_metadata:
        raise file.error(
            ("use_metadata",), "'use_metadata' needs a network of its own, which is not built here.", "Set it to False."
        )
    if not conf.supervision_starts_at_one:
        raise file.error(
            ("supervision_starts_at_one",),
            "masks whose classes begin at 0 are not read: 0 is no data here.",
            "Write masks whose values begin at 1.",
        )
    if sorted(conf.classes) != list(range(1, len(conf.classes) + 1)) or not 2 <= len(conf.classes) <= 254:
        raise file.error(
            ("classes",), "the values of the classes must run from 1 without a gap.", "List the missing ones, weight 0."
        )
    if not any(weight for weight, _ in conf.classes.values()):
        raise file.error(("classes",), "every class has the weight 0.", "Give a weight to those to learn.")
    architecture = ("model_architecture", conf.model_architecture or conf.model_name)
    return conf, network_names(file, conf.model_framework, architecture, conf.encoder_name)
