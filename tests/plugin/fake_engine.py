"""A stand-in for the engine: speaks the protocol, does what FAKE_ENGINE says."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

MODE = os.environ.get("FAKE_ENGINE", "success")
CLASSES = [(1, "building", "#db0e9a"), (5, "water", "#1553ae"), (18, "greenhouse", "#9999ff")]


def send(event, **values):
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def watch_input():
    """End with the process that started us, as the engine does."""
    # not through sys.stdin: its lock would abort the interpreter when it ends
    while os.read(0, 4096):
        pass
    os._exit(3)


def qml():
    rows = "".join(
        f'<paletteEntry value="{code}" color="{color}" label="{name.capitalize()}" alpha="255"/>'
        for code, name, color in CLASSES
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'><qgis version=\"3.22\"><pipe>"
        '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">'
        f"<colorPalette>{rows}</colorPalette></rasterrenderer></pipe></qgis>"
    )


def write_map(options):
    from osgeo import gdal

    source = gdal.Open(options["input"][0])
    output = options["output"]
    dataset = gdal.GetDriverByName("GTiff").Create(output, source.RasterXSize, source.RasterYSize, 1, gdal.GDT_Byte)
    dataset.SetGeoTransform(source.GetGeoTransform())
    dataset.SetProjection(source.GetProjection())
    dataset.GetRasterBand(1).Fill(5)
    dataset.GetRasterBand(1).SetNoDataValue(0)
    del dataset
    style = str(Path(output).with_suffix(".qml"))
    Path(style).write_text(qml(), encoding="utf-8")
    return {
        "output": output,
        "style": style,
        "classes": {"5": source.RasterXSize * source.RasterYSize},
        "pixels": source.RasterXSize * source.RasterYSize,
        "seconds": 0.5,
        "device": "cpu",
    }


def classify(options):
    send("progress", fraction=0.25, text="Classifying, 3.5 Mpx/s", eta=65)
    send("log", text="model read")
    send("warning", text="bands look alike")
    sys.stdout.write("a library printed this\n{not json\n")
    return write_map(options)


def grandchild():
    code = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    return subprocess.Popen([sys.executable, "-c", code])


def main():
    request = json.loads(sys.stdin.buffer.readline())
    record = os.environ.get("FAKE_ENGINE_RECORD")
    if record:
        state = {"request": request, "argv": sys.argv, "environment": dict(os.environ), "cwd": os.getcwd()}
        state["files"] = {name: Path(name).is_file() for name in request["options"].get("input", [])}
        state["cwd_files"] = os.listdir()
        state["sid"] = os.getsid(0) if hasattr(os, "getsid") else None
        state["pid"] = os.getpid()
        if MODE == "inspect":
            from osgeo import gdal

            state["info"] = gdal.Info(request["options"]["input"][0], format="json", computeMinMax=True)
            if "area" in request["options"]:
                from osgeo import ogr

                vectors = ogr.Open(request["options"]["area"])
                layer = vectors.GetLayer(0)
                state["area"] = [
                    layer.GetExtent(),
                    layer.GetFeatureCount(),
                    layer.GetSpatialRef().GetAuthorityCode(None),
                ]
        Path(record + ".part").write_text(json.dumps(state))
        os.replace(record + ".part", record)
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
    if MODE == "chatty":
        sys.stderr.write("x" * 5_000_000)
        for _ in range(3000):
            send("log", text="y" * 100)
    if MODE == "hang":
        child = grandchild()
        Path(os.environ["FAKE_ENGINE_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)
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
    else:
        values = classify(request["options"])
    send("result", values=values)
    sys.stdout.flush()
    os._exit(0)


main()
