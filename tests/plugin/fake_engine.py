"""A stand-in for the engine: speaks the protocol, does what FAKE_ENGINE says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

# The engine is started so that a script's own folder is not looked in.
sys.path.insert(0, str(Path(__file__).parent))
import fake_maps
from fake_rasters import CLASSES, write_map

MODE = os.environ.get("FAKE_ENGINE", "success")


def send(event, **values):
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def watch_input():
    """End with the process that started us, as the engine does."""
    # not through sys.stdin: its lock would abort the interpreter when it ends
    while os.read(0, 4096):
        pass
    os._exit(3)


def classify(options):
    send("progress", fraction=0.25, text="Classifying, 3.5 Mpx/s", eta=65)
    send("log", text="model read")
    send("warning", text="bands look alike: see --bands")
    sys.stdout.write("a library printed this\n{not json\n")
    return write_map(options)


def extract_patches(options):
    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    lists = {"train": 3, "val": 1, "test": 0}
    (folder / "dataset.yaml").write_text("format: 1\n", encoding="utf-8")
    for name, count in lists.items():
        lines = [f"{name}/img_{number}.tif,{name}/msk_{number}.tif\n" for number in range(count)]
        (folder / f"{name}.csv").write_text("".join(lines), encoding="utf-8")
    send("progress", fraction=0.5, text="Writing patches, 2 of 4")
    send("log", text="Pixels by class")
    rows = [
        {"code": code, "name": name, "color": color, "train": 1000 * code, "val": 500, "test": 0}
        for code, name, color in CLASSES
    ]
    return {
        "output": str(folder),
        "dataset": str(folder / "dataset.yaml"),
        "patches": lists,
        "table": rows,
        "seconds": 0.5,
    }


def write_model(path):
    """Write a model file with a header and no tensor."""
    manifest = {
        "format": 1,
        "name": "trained",
        "bands": [{"name": name} for name in ("red", "green", "blue")],
        "ground_sampling_distance": 0.2,
        "nomenclature": {
            "name": "flair",
            "classes": [{"code": code, "name": name, "color": color} for code, name, color in CLASSES],
        },
    }
    header = json.dumps({"__metadata__": {"flair_manifest": json.dumps(manifest)}}).encode("utf-8")
    Path(path).write_bytes(len(header).to_bytes(8, "little") + header)


def train(options):
    epochs = int(options.get("epochs", 3))
    pause = float(os.environ.get("FAKE_ENGINE_PAUSE", "0"))
    for epoch in range(1, epochs + 1):
        for batch in range(1, 3):
            fraction = (2 * (epoch - 1) + batch) / (2 * epochs)
            text = f"Epoch {epoch} of {epochs}, batch {batch} of 2, loss 0.81, mIoU 0.31"
            send("progress", fraction=fraction, text=text, eta=3)
            time.sleep(pause)
        send("log", text=f"Epoch {epoch}: loss 0.80, mIoU 0.3{epoch % 10}")
    output = Path(options["output"])
    write_model(output)
    report = Path(options.get("report") or output.with_suffix(".html"))
    report.write_text("<!DOCTYPE html><h1>Trained</h1>", encoding="utf-8")
    return {
        "output": str(output),
        "report": str(report),
        "folder": str(output.with_name(f"{output.stem}_training")),
        "epoch": 2,
        "epochs": epochs,
        "miou": 0.31,
        "loss": 0.8,
        "seconds": 1.5,
    }


def evaluate(options):
    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    send("progress", fraction=0.5, text="Comparing the pixels", eta=2)
    send("log", text="By 'strict': mean IoU 61.0 %")
    for name in ("report.html", "metrics.json", "confusion.csv"):
        (folder / name).write_text(f"fake {name}", encoding="utf-8")
    errors = None
    if "prediction" in options:
        errors = write_map({"input": options["prediction"], "output": str(folder / "errors.tif")})["output"]
        Path(f"{errors}.aux.xml").write_text("<PAMDataset/>", encoding="utf-8")
    return {
        "output": str(folder),
        "report": str(folder / "report.html"),
        "metrics": str(folder / "metrics.json"),
        "confusion": str(folder / "confusion.csv"),
        "error_map": errors,
        "predictions": options.get("predictions"),
        "definition": options.get("definition", "strict"),
        "miou": 0.61,
        "overall_accuracy": 0.8,
        "kappa": None,
        "fscore": 0.7,
        "pixels": 200,
        "classes": [],
        "polygons": [{"name": "a", "pixels": 20, "miou": 0.5}],
        "seconds": 0.5,
    }


def benchmark(options):
    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    names = {"report": "report.html", "results": "results.json", "table2": "table2.csv", "table3": "table3.csv"}
    for name in names.values():
        (folder / name).write_text(f"fake {name}", encoding="utf-8")
    send("warning", text="'second' on 't' is left out: There is no model file.")
    return {
        "output": str(folder),
        **{key: str(folder / name) for key, name in names.items()},
        "models": [
            {"name": "first", "test": "t", "miou": 0.5, "error": None},
            {"name": "second", "test": "t", "miou": None, "error": "There is no model file."},
        ],
        "failed": [{"name": "second", "test": "t", "error": "There is no model file."}],
        "seconds": 2.5,
    }


def prepare_input(options):
    from osgeo import gdal

    send("progress", fraction=0.5, text="Writing the image")
    names = ["red", "green", "blue"]
    names += ["infrared"] if "irc" in options or "nir" in options else []
    names += ["elevation"] if "dsm" in options or "height" in options else []
    source = gdal.Open(options["rgb"][0])
    size = (source.RasterXSize, source.RasterYSize) if source else (4, 4)
    dataset = gdal.GetDriverByName("GTiff").Create(options["output"], *size, len(names), gdal.GDT_Byte)
    if source:
        dataset.SetGeoTransform(source.GetGeoTransform())
        dataset.SetProjection(source.GetProjection())
    for number, name in enumerate(names, 1):
        dataset.GetRasterBand(number).Fill(10 * number)
        dataset.GetRasterBand(number).SetDescription(name)
    del dataset
    report = Path(options.get("report") or Path(options["output"]).with_suffix(".html"))
    report.write_text("<!DOCTYPE html><h1>Checked</h1>", encoding="utf-8")
    return {
        "output": options["output"],
        "report": str(report),
        "bands": names,
        "pixels": size[0] * size[1],
        "seconds": 0.5,
    }


def prepare_time_series(options):
    folder = Path(options["output"])
    folder.mkdir(exist_ok=True)
    (folder / "dates.csv").write_text("date,kept,reason\n", encoding="utf-8")
    send("log", text="  2021-06-04  kept")
    return {"output": str(folder), "table": str(folder / "dates.csv"), "kept": 3, "dropped": 2, "seconds": 0.5}


def models_download(options):
    output = Path(options.get("output") or os.environ["FAKE_ENGINE_CACHE"])
    send("progress", fraction=0.4, text="Downloading, 39 of 98 MB", eta=12)
    write_model(output)
    return {"model": str(output), "name": options["model"], "licence": "etalab-2.0"}


def dataset_download(options):
    if not options.get("only_size"):
        folder = Path(options["output"])
        folder.mkdir(exist_ok=True)
        (folder / "train.csv").write_text("a.tif,b.tif\n", encoding="utf-8")
    send("progress", fraction=0.4, text="Downloading flair_labels.zip, 3.1 MB/s", eta=12)
    return {"output": options["output"], "files": 250, "to_fetch": 215_000_000}


def dataset_check(options):
    if "report" in options:
        Path(options["report"]).write_text("file,problem\na.tif,no mask\n", encoding="utf-8")
    return {"patches": 250, "wrong": 1, "problems": {"mask missing": 1}}


COMMANDS = {
    "benchmark": benchmark,
    "classify": classify,
    "extract-patches": extract_patches,
    "train": train,
    "evaluate": evaluate,
    "prepare-input": prepare_input,
    "prepare-time-series": prepare_time_series,
    "models-download": models_download,
    "dataset-download": dataset_download,
    "dataset-check": dataset_check,
    **fake_maps.COMMANDS,
}
PRODUCTS = ("rgb", "irc", "nir", "dsm", "dtm", "height")


def inspected(options):
    """What GDAL finds in the files of a request."""
    from osgeo import gdal, ogr

    found = {}
    images = options.get("input") or options.get("image") or options.get("prediction")
    images = [images] if isinstance(images, str) else images
    found["info"] = gdal.Info(images[0], format="json", computeMinMax=True) if images else None
    found["products"] = {
        name: [gdal.Info(path, format="json", computeMinMax=True) for path in options[name] if Path(path).is_file()]
        for name in PRODUCTS
        if name in options
    }
    if "area" in options:
        area = ogr.Open(options["area"])
        layer = area.GetLayer(0)
        found["area"] = [layer.GetExtent(), layer.GetFeatureCount(), layer.GetSpatialRef().GetAuthorityCode(None)]
    labels = options.get("labels") or (options.get("truth") or [None])[0]
    layers = {"label_layer", "truth_layer"} & set(options)
    if labels and ogr.Open(labels) is not None:
        file = ogr.Open(labels)
        layer = file.GetLayerByName(options[layers.pop()]) if layers else file.GetLayer(0)
        found["labels"] = {
            "crs": layer.GetSpatialRef().GetAuthorityCode(None),
            "rows": [feature.items() for feature in layer],
        }
    elif labels:
        found["label_raster"] = gdal.Info(labels, format="json", computeMinMax=True)
    return found


def say_last_words(*_):
    send("log", text="The last checkpoint is kept.")
    send(
        "error",
        kind="cancelled",
        message="Cancelled. The best model so far (epoch 3, mIoU 0.41) is kept: PATH",
        hint="",
    )
    sys.stdout.flush()
    os._exit(130)


def grandchild():
    code = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    return subprocess.Popen([sys.executable, "-c", code])


def main():
    request = json.loads(sys.stdin.buffer.readline())
    record = os.environ.get("FAKE_ENGINE_RECORD")
    if record:
        state = {"request": request, "argv": sys.argv, "environment": dict(os.environ), "cwd": os.getcwd()}
        state["files"] = {
            name: Path(name).is_file() for name in request["options"].get("input", request["options"].get("image", []))
        }
        state["cwd_files"] = os.listdir()
        state["sid"] = os.getsid(0) if hasattr(os, "getsid") else None
        state["pid"] = os.getpid()
        if MODE == "inspect":
            state.update(inspected(request["options"]))
        part = f"{record}.{os.getpid()}.part"  # several engines may run at once
        Path(part).write_text(json.dumps(state))
        os.replace(part, record)
        with Path(record).with_name("requests.jsonl").open("a") as file:
            file.write(json.dumps(request) + "\n")
    threading.Thread(target=watch_input, daemon=True).start()
    if MODE == "error":
        send("error", kind="input", message="The image has no CRS.", hint="Set one.")
        sys.exit(3)
    if MODE == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "abort":
        os.abort()
    if MODE == "traceback":
        raise ValueError("something odd")
    if MODE == "missing":
        raise ModuleNotFoundError("No module named 'torch'")
    if MODE == "silent":
        sys.exit(0)
    if MODE == "late-failure":
        send("result", values={})
        sys.exit(1)
    if MODE == "table":
        send("log", text="  1  building       16,866   6.1 %")
    if MODE == "chatty":
        sys.stderr.write("x" * 5_000_000)
        for _ in range(3000):
            send("log", text="y" * 100)
    if MODE == "hang":
        child = grandchild()
        Path(os.environ["FAKE_ENGINE_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)
    if MODE == "last-words":
        child = grandchild()
        signal.signal(signal.SIGTERM, say_last_words)
        Path(os.environ["FAKE_ENGINE_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
        send("progress", fraction=0.1, text="Epoch 4 of 30")
        while True:
            time.sleep(0.05)
    if MODE == "slow":
        for step in range(30):
            send("progress", fraction=step / 30, text="Classifying", eta=None)
            time.sleep(0.1)
    if MODE == "leftover":
        child = grandchild()
        Path(os.environ["FAKE_ENGINE_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
    if request["command"] == "diagnostics":
        home = os.path.expanduser("~")
        values = {"engine": "0.1.0", "python": "3.12", "devices": [{"name": "cpu", "memory_gb": 4}], "home": home}
        values["packages"] = {"torch": "2.13.0"}
        values["models"] = os.environ.get("FAKE_ENGINE_MODELS", "").split()
    else:
        values = COMMANDS[request["command"]](request["options"])
    send("result", values=values)
    sys.stdout.flush()
    # as the engine's: faults were found
    os._exit(8 if values.get("wrong") else 0)


main()
