"""Train, predict and score as IGN's `flair-1-config.yaml` says."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.commands import train
from engine.errors import Cancelled, ModelError, OutputError, RequestError
from engine.events import Reporter
from engine.ign.bands import Channels, channels_of
from engine.ign.detection import FLAIR_DISTANCE, existing_file
from engine.ign.flair1_train import UNNEEDED, Flair1Train, read_flair1_train
from engine.ign.model_import import import_model
from engine.ign.patch_lists import check_names, check_present, listed_pairs, write_dataset
from engine.ign.patch_predictions import count_predictions, predict_patch, prediction_path, write_metrics
from engine.inference.device import choose_device
from engine.launch import is_first_process
from engine.models.manifest import ELEVATION_ENCODING, Manifest
from engine.models.resolve import ResolvedModel, resolve_model
from engine.rasters.disk import output_error
from engine.requests import FlairRequest, TrainRequest
from engine.yaml_file import YamlFile, read_yaml


def run(request: FlairRequest, reporter: Reporter, cancelled: threading.Event) -> dict[str, Any]:
    """Do what the file's `tasks` say.

    Args:
        request: The configuration file.
        reporter: Told what was understood, what is done better, and what cannot be done.
        cancelled: Set to stop; a training can be gone on with.

    Returns:
        Folder of the results, model, figures of the test patches, seconds.

    Raises:
        EngineError: Something is wrong with the file, or with what it names.
    """
    began = time.monotonic()
    return _Run(request, reporter, cancelled).run(began)


class _Run:
    """A file and what it names.

    Args:
        request: The request.
        reporter: Receives events.
        cancelled: Set to stop.
    """

    def __init__(self, request: FlairRequest, reporter: Reporter, cancelled: threading.Event) -> None:
        self.request, self.reporter, self.cancelled = request, reporter, cancelled
        self.file: YamlFile = read_yaml(Path(request.conf).expanduser())
        self.conf: Flair1Train
        self.conf, self.network = read_flair1_train(self.file)
        paths, tasks = self.conf.paths, self.conf.tasks
        splits = [*(("train", "val") if tasks.train else ())]
        if tasks.predict or tasks.metrics:
            splits.append("test")
        found = {split: listed_pairs(self.file, f"{split}_csv", getattr(paths, f"{split}_csv")) for split in splits}
        self.csv = [path for path, _ in found.values()]
        self.pairs = {split: pairs for split, (_, pairs) in found.items()}
        # What is missing of the test patches would else show itself only after days of training.
        for split, (path, pairs) in found.items():
            check_present(path, pairs, masks=split != "test" or tasks.metrics, cancelled=cancelled)
        self.folder = Path(paths.out_folder).expanduser() / paths.out_model_name
        self.predictions = self.folder / f"predictions_{paths.out_model_name}"
        self.channels = self._channels()
        # IGN's tools take the CPU only where told; "auto" also where there is no GPU.
        self.device = "cpu" if self.conf.accelerator == "cpu" and request.device == "auto" else request.device

    def run(self, began: float) -> dict[str, Any]:
        """Do all tasks in order."""
        tasks, first = self.conf.tasks, is_first_process()
        if first:
            self._check_outputs()
            self._tell()
            self._keep_lists()
        values: dict[str, Any] = {"output": str(self.folder)}
        model = None
        if tasks.train:
            model = self._train()
            values["model"] = str(model)
            if not first:
                return {}
        if tasks.predict:
            self._predict(self._model(model))
            values["predictions"] = str(self.predictions)
        if tasks.metrics:
            values.update(self._score())
        self.reporter.progress(1.0, "Done", 0.0)
        return {**values, "seconds": round(time.monotonic() - began, 2)}

    def _channels(self) -> Channels:
        from engine.data.patch_file import read_header

        conf = self.conf
        key = "channels" if conf.channels else "bands"
        headers = {split: read_header(pairs[0].image) for split, pairs in self.pairs.items()}
        header = next(iter(headers.values()))
        for split, other in headers.items():
            if max(conf.numbers) > other.bands:
                raise self.file.error(
                    (key,),
                    f"the images of '{split}_csv' have {other.bands} bands, so there is no band {max(conf.numbers)}.",
                )
        norm = (conf.norm_type, conf.norm_means, conf.norm_stds)
        return channels_of(self.file, conf.numbers, *norm, header.dtype, ((key,), ("norm_means",)))

    def _check_outputs(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.folder, error) from error
        existing = [self.folder / "metrics" / "metrics.json"] if self.conf.tasks.metrics else []
        if self.conf.tasks.predict:
            check_names(self.pairs["test"])
            existing += [prediction_path(self.predictions, pair.image) for pair in self.pairs["test"]]
        there = next((path for path in existing if path.exists()), None)
        if there is not None and not self.request.overwrite:
            raise OutputError(
                f"'{there}' exists already.", "Change 'out_model_name', or allow it to be replaced (--overwrite)."
            )

    def _tell(self) -> None:
        conf = self.conf
        todo = [name for name in ("train", "predict", "metrics") if getattr(conf.tasks, name)]
        bands = ", ".join(f"{name}={number}" for name, number in self.channels.by_name.items())
        self.reporter.log(
            f"Understood: {', '.join(todo)}; {self.network[0]} with {self.network[1]}; bands {bands}, normalisation "
            f"'{conf.norm_type}'; {len(conf.classes)} classes, "
            f"{sum(weight == 0 for weight, _ in conf.classes.values())} of them with weight 0."
        )
        given = [f"{key} ({why})" for key, why in UNNEEDED.items() if key in self.file.values]
        if conf.paths.path_metadata_aerial:
            given.append("path_metadata_aerial ('use_metadata' is off)")
        if given:
            self.reporter.log(f"Not needed: {', '.join(given)}.")
        if conf.tasks.train and conf.ckpt_monitor == "val_miou":
            self.reporter.log("'val_miou' is a mean over classes here; IGN's tool weights classes by their pixels.")

    def _keep_lists(self) -> None:
        if not self.conf.cp_csv_and_conf_to_output:
            return
        folder = self.folder / "used_csv_and_config"
        try:
            folder.mkdir(exist_ok=True)
            for path in (*self.csv, self.file.path):
                shutil.copyfile(path, folder / path.name)
        except shutil.SameFileError:
            return
        except OSError as error:
            raise output_error(folder, error) from error

    def _manifest(self) -> Manifest:
        names = [band.name for band in self.channels.bands]
        return Manifest(
            name=self.conf.paths.out_model_name,
            architecture=self.network[0],
            encoder=self.network[1],
            bands=self.channels.bands,
            nomenclature=self.conf.nomenclature(masked=not self.request.published_behaviour),
            ground_sampling_distance=FLAIR_DISTANCE,
            elevation=ELEVATION_ENCODING if "elevation" in names else None,
        )

    def _checkpoint(self) -> ResolvedModel:
        """Return the file's checkpoint as a model file."""
        weights = existing_file(self.file, ("paths", "ckpt_model_path"), self.conf.paths.ckpt_model_path)
        target = self.folder / "prepared" / "checkpoint.safetensors"
        if is_first_process() or not target.is_file():
            import_model(weights, self._manifest(), target)
        return resolve_model(str(target))

    def _train(self) -> Path:
        from engine.models.encoder_weights import ImagenetWeightsError

        conf, tasks = self.conf, self.conf.tasks
        mode = "min" if conf.ckpt_monitor == "val_loss" else "max"
        if conf.ckpt_monitor_mode != mode and "ckpt_monitor_mode" in self.file.values:
            raise self.file.error(
                ("ckpt_monitor_mode",), f"'{conf.ckpt_monitor}' is best at its {mode}.", f"Write '{mode}'."
            )
        data = self.folder / "prepared" / "dataset.yaml"
        if is_first_process():
            lists = {split: self.pairs[split] for split in ("train", "val")}
            write_dataset(data.parent, conf, self.channels, lists)
        start = tasks.train_load_ckpt or tasks.train_tasks.init_weights_only_from_ckpt
        if tasks.train_tasks.resume_training_from_ckpt:
            self.reporter.warning(
                f"{self.file.where('tasks', 'train_tasks', 'resume_training_from_ckpt')}: of "
                "'resume_training_from_ckpt' only the weights are taken; a broken training of this engine goes on by "
                "itself when the command is repeated."
            )
            start = True
        on_gpu = choose_device(self.device).startswith("cuda")
        devices = conf.gpus_per_node if on_gpu else 1
        if devices != conf.gpus_per_node:
            self.reporter.warning(f"{self.file.where('gpus_per_node')}: 'gpus_per_node' means nothing without a GPU.")
        model = self.folder / "checkpoints" / f"{conf.paths.out_model_name}.safetensors"
        model.parent.mkdir(exist_ok=True)
        weights = {value: weight for value, (weight, _) in conf.classes.items() if weight}
        weighted = conf.use_weights and len(set(weights.values())) > 1
        options = {
            "data": str(data),
            "output": str(model),
            "preset": "flair-inc",
            "architecture": self.network[0],
            "encoder": self.network[1],
            "start_from": str(self._checkpoint().path) if start else None,
            "bands": [band.name for band in self.channels.bands],
            "epochs": conf.num_epochs,
            # IGN's is by device.
            "batch_size": conf.batch_size * devices * conf.num_nodes,
            "learning_rate": conf.learning_rate,
            "patience": conf.ckpt_earlystopping_patience,
            "monitor": "loss" if conf.ckpt_monitor == "val_loss" else "miou",
            "flips": conf.use_augmentation,
            "quarter_turns": conf.use_augmentation,
            "class_weights": weights if weighted else "none",
            "seed": conf.seed,
            "device": self.device,
            "devices": devices,
            "nodes": conf.num_nodes,
            "threads": self.request.threads,
            "name": conf.paths.out_model_name,
            "overwrite": self.request.overwrite,
        }
        try:
            train.run(TrainRequest.model_validate(options), self.reporter, self.cancelled)
        except ImagenetWeightsError as error:
            # What its hint names is an option of `train`.
            raise ModelError(
                error.message,
                "Check the connection; or, without one, start from a checkpoint: in the file, name it with "
                "'ckpt_model_path', and below 'train_tasks' write 'init_weights_only_from_ckpt: True'.",
            ) from error
        return model

    def _model(self, trained: Path | None) -> ResolvedModel:
        if trained is None:
            return self._checkpoint()
        model = resolve_model(str(trained))
        if not self.request.published_behaviour:
            return model
        nomenclature = model.manifest.nomenclature.with_disabled(())
        return replace(model, manifest=replace(model.manifest, nomenclature=nomenclature))

    def _predict(self, model: ResolvedModel) -> None:
        from engine.inference.torch_predictor import TorchPredictor

        self.predictions.mkdir(exist_ok=True)
        device = choose_device(self.device)
        predictor = TorchPredictor(
            model, device, precision="exact", reporter=self.reporter, threads=self.request.threads
        )

        def indices(images: Any) -> Any:
            codes = predictor.predict(images).codes
            if codes is None:
                raise RequestError("The network gave no classes.")
            # The classes run from 1 without a gap.
            return codes - 1

        pairs = self.pairs["test"]
        for number, pair in enumerate(pairs, 1):
            if self.cancelled.is_set():
                raise Cancelled
            placed = self.conf.georeferencing_output
            predict_patch(pair, self.channels.numbers, indices, self.predictions, placed=placed)
            self.reporter.progress(0.95 * number / len(pairs), f"Patch {number} of {len(pairs)} predicted")

    def _score(self) -> dict[str, Any]:
        pairs = self.pairs["test"]
        matrix = count_predictions(pairs, self.predictions, self.conf.nomenclature(), self.cancelled)
        figures = write_metrics(matrix, self.folder / "metrics")
        if figures.absent:
            self.reporter.log(f"Not in the test masks, and counted as 0 in the means: {', '.join(figures.absent)}.")
        if self.conf.tasks.delete_preds:
            for pair in pairs:
                prediction_path(self.predictions, pair.image).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.predictions.rmdir()
        return {
            "metrics": str(self.folder / "metrics" / "metrics.json"),
            "miou": round(figures.miou, 5),
            "overall_accuracy": round(figures.overall_accuracy, 5),
        }
