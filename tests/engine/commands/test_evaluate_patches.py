"""A model judged on the patches of a data set."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import rasterio
import yaml

from engine.errors import Cancelled, InputError, OutputError, RequestError
from engine.models.model_file import save_model
from engine.requests import parse_request
from tests.engine import tiny
from tests.engine.interruptions import left_behind
from tests.engine.labelled_patches import painted, stripes, write_dataset, write_pair

TESTED = 5


class ByColour:
    """Takes the colours of `labelled_patches` for their classes, as a network that has learnt them would."""

    device, precision, bytes_per_pixel = "cpu", "exact", 0.0

    def predict(self, images):
        from engine.inference.predictor import Prediction
        from tests.engine.labelled_patches import CODES, COLOURS

        assert images.shape[1] == 3
        assert not images.shape[2] % 32
        assert not images.shape[3] % 32
        centres = np.array([COLOURS[code] for code in CODES], float)
        far = np.abs(images.astype(float).transpose(0, 2, 3, 1)[..., None, :] - centres).sum(-1)
        return Prediction(codes=np.array(CODES, np.uint8)[far.argmin(-1)])


@pytest.fixture
def by_colour(monkeypatch):
    from engine.inference.load import LoadedPredictor

    monkeypatch.setattr("engine.study.judge.load_predictor", lambda *_, **__: LoadedPredictor(ByColour()))


@pytest.fixture
def model(tmp_path):
    return tiny.header_only(tmp_path / "tiny.safetensors", tiny.manifest())


def shifted(folder, by=4, size=40):
    """A data set whose images show each stripe some pixels too far right."""
    masks = [stripes(size, shift=5 * number) for number in range(TESTED)]
    lines = [
        write_pair(folder, f"p{number:02d}", painted(np.roll(mask, by, axis=1)), mask)
        for number, mask in enumerate(masks)
    ]
    for split in ("train", "val"):
        line = write_pair(folder, split, painted(masks[0]), masks[0])
        (folder / f"{split}.csv").write_text(line + "\n")
    (folder / "test.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.yaml").write_text(yaml.safe_dump(tiny.TINY_CLASSES.to_dict()))
    lists = {split: f"{split}.csv" for split in ("train", "val", "test")}
    (folder / "data.yaml").write_text(yaml.safe_dump({**lists, "nomenclature": "classes.yaml", "ignored": [0]}))
    return str(folder / "data.yaml"), masks


def test_figures_by_hand(evaluate, by_colour, model, tmp_path, recorder):
    data, masks = shifted(tmp_path)
    result = evaluate(model=model, data=data, device="cpu")
    # Of each stripe of 10 pixels, 4 are taken for its neighbour on the left.
    assert result["overall_accuracy"] == pytest.approx(0.6)
    for row in result["classes"]:
        assert row["iou"] == pytest.approx(6 / 14)
        assert row["recall"] == pytest.approx(0.6)
        assert row["pixels"] == sum(int((mask == row["code"]).sum()) for mask in masks)
    assert result["pixels"] == TESTED * 40 * 40
    assert result["error_map"] is None
    assert sorted(item.name for item in (tmp_path / "ev").iterdir()) == ["confusion.csv", "metrics.json", "report.html"]
    metrics = json.loads((tmp_path / "ev" / "metrics.json").read_text())
    assert metrics["intervals"]["units"] == TESTED
    # All patches are alike, so that no redrawing changes a thing.
    assert metrics["intervals"]["overall_accuracy"] == pytest.approx([0.6, 0.6])
    html = (tmp_path / "ev" / "report.html").read_text()
    assert "640 of 1600 pixels wrong, 40.0 %" in html
    assert html.count('alt="Image"') == TESTED
    assert recorder.fractions == sorted(recorder.fractions)
    assert left_behind(tmp_path) == []


def test_a_split_a_list_and_codes_to_ignore(evaluate, by_colour, model, tmp_path):
    data, _ = shifted(tmp_path)
    assert evaluate(model=model, data=data, split="val")["miou"] == 1.0
    result = evaluate(model=model, data=data, ignore="7", overwrite=True)
    assert result["pixels"] == TESTED * 40 * 30
    # A bare list has FLAIR's names, which this model lacks: they are given.
    listed = evaluate(
        model=model,
        data=str(tmp_path / "test.csv"),
        classes="deciduous=roof,impervious surface=grass,water=water,building=road",
        overwrite=True,
    )
    assert listed["overall_accuracy"] == pytest.approx(0.6)


def test_bands_go_by_name(evaluate, by_colour, model, tmp_path):
    data, masks = shifted(tmp_path)
    described = yaml.safe_load((tmp_path / "data.yaml").read_text())
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({**described, "bands": ["blue", "green", "red"]}))
    for number, mask in enumerate(masks):
        write_pair(tmp_path, f"p{number:02d}", painted(mask)[::-1], mask)
    assert evaluate(model=model, data=data)["miou"] == 1.0
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({**described, "bands": ["red", "green", "infrared"]}))
    with pytest.raises(InputError, match="lacks blue"):
        evaluate(model=model, data=data, overwrite=True)


def test_missing_files_are_listed_at_once(evaluate, model, tmp_path):
    data, _ = shifted(tmp_path)
    (tmp_path / "img" / "p01.tif").unlink()
    (tmp_path / "msk" / "p03.tif").unlink()
    with pytest.raises(InputError, match="2 problems") as caught:
        evaluate(model=model, data=data)
    assert "p01.tif" in caught.value.message
    assert "p03.tif" in caught.value.message


def test_a_split_that_is_not_there(evaluate, model, tmp_path):
    data = str(write_dataset(tmp_path, counts=(2, 1, 0)))
    with pytest.raises(InputError, match="has no test patches") as caught:
        evaluate(model=model, data=data)
    assert "train, val" in caught.value.hint


def test_cancelled(evaluate, by_colour, model, tmp_path):
    data, _ = shifted(tmp_path)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        evaluate(model=model, data=data, cancelled=stop)
    assert not (tmp_path / "ev").exists()


def test_a_real_network(evaluate, tiny_model, tmp_path):
    _, described, network = tiny_model
    data, masks = shifted(tmp_path)
    path = str(tmp_path / "net.safetensors")
    save_model(tmp_path / "net.safetensors", network, described)
    result = evaluate(model=path, data=data, device="cpu", threads=1)
    right = 0
    for mask in masks:
        image = np.pad(painted(np.roll(mask, 4, axis=1)), ((0, 0), (0, 24), (0, 24)), mode="symmetric")
        right += int((tiny.codes_of(tiny.truth(network, described, image))[:40, :40] == mask).sum())
    assert result["overall_accuracy"] == pytest.approx(right / (TESTED * 1600), abs=0.002)


def test_predictions_are_kept(evaluate, by_colour, model, tmp_path):
    data, masks = shifted(tmp_path)
    folder = tmp_path / "predicted"
    result = evaluate(model=model, data=data, predictions=str(folder))
    assert result["predictions"] == str(folder)
    assert sorted(item.name for item in folder.iterdir()) == ["classes.qml", *(f"p{n:02d}.tif" for n in range(TESTED))]
    for number, mask in enumerate(masks):
        with (
            rasterio.open(folder / f"p{number:02d}.tif") as file,
            rasterio.open(tmp_path / f"img/p{number:02d}.tif") as i,
        ):
            assert (file.read(1) == np.roll(mask, 4, axis=1)).all()
            assert (file.crs, file.transform, file.nodata) == (i.crs, i.transform, 0)
            assert file.colormap(1)[7] == (255, 0, 0, 255)
            assert file.colormap(1)[0] == (0, 0, 0, 0)
    with pytest.raises(OutputError, match="exists already"):
        evaluate(model=model, data=data, predictions=str(folder), output=str(tmp_path / "other"))
    evaluate(model=model, data=data, predictions=str(folder), overwrite=True)
    assert left_behind(tmp_path) == []


def test_predictions_replace_nothing_else(evaluate, by_colour, model, tmp_path):
    data, _ = shifted(tmp_path)
    with pytest.raises(OutputError, match="not replaced"):
        evaluate(model=model, data=data, predictions=str(tmp_path / "img"), overwrite=True)
    with pytest.raises(OutputError, match="in each other"):
        evaluate(model=model, data=data, predictions=str(tmp_path / "ev" / "p"))
    with pytest.raises(RequestError, match="model and data only"):
        parse_request("evaluate", {"prediction": "a", "truth": "b", "output": "c", "predictions": "d"})
    assert len(list((tmp_path / "img").iterdir())) == TESTED + 2
