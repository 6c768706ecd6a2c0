import os
import shutil
import sys
import time

import processing
import pytest
from helpers import ROOT, Feedback, alive
from qgis.core import QgsProcessingException
from qgis.PyQt.QtNetwork import QNetworkProxy

from flair_qgis import engine_environment, proxy, settings
from flair_qgis.engine_environment import EnvironmentBuilder, check_disk, disk_needed, split_requirements
from flair_qgis.proxy import proxy_variables, without_credentials

UV = """#!{python}
import os, sys, time, subprocess
from pathlib import Path
with open({log!r}, "a") as stream:
    stream.write(" ".join(sys.argv[1:]) + "\\n")
mode = os.environ.get("FAKE_UV", "")
if mode in sys.argv:
    if mode == "sync":
        print("error: https://joe:secret@index/x timed out", file=sys.stderr)
        sys.exit(2)
if mode == "hang" and "sync" in sys.argv:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    Path({pids!r}).write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(300)
if sys.argv[1] == "venv":
    folder = Path(sys.argv[-1])
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "python"
    program.write_text({engine!r})
    program.chmod(0o755)
else:
    for number in range(5):
        print(f"Downloaded package {{number}}", file=sys.stderr)
print("PROXY", os.environ.get("HTTPS_PROXY"))
"""


@pytest.fixture
def root(tmp_path, fake_engine, monkeypatch):
    """A managed folder, and a `uv` that makes environments of the fake engine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    engine = fake_engine.program.read_text()
    monkeypatch.delenv("FLAIR_ENGINE_PYTHON")
    uv = programs / "uv"
    text = UV.format(
        python=sys.executable, log=str(tmp_path / "calls"), pids=str(tmp_path / "fake" / "pids"), engine=engine
    )
    uv.write_text(text)
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "managed"
    monkeypatch.setattr(engine_environment, "managed_folder", lambda: folder)
    monkeypatch.setattr(settings, "managed_folder", lambda: folder)
    monkeypatch.setattr(engine_environment, "DISK_GB", 0.0)
    monkeypatch.setattr(engine_environment, "DISK_CPU_GB", 0.0)
    return folder


def calls(tmp_path):
    return (tmp_path / "calls").read_text().splitlines()


def run(parameters, feedback, context):
    return processing.run("flair:setupengine", parameters, feedback=feedback, context=context, is_child_algorithm=True)


def test_locked_set_up(root, tmp_path, feedback, context):
    result = run({}, feedback, context)
    assert result == {"PYTHON": str(root / "engine" / "bin" / "python"), "ENGINE": "0.1.0"}
    made, synced = calls(tmp_path)
    assert made.startswith("venv --no-project --relocatable --python >=3.10,<3.15")
    assert "--require-hashes" in synced
    assert synced.endswith(str(ROOT / "resources" / "requirements" / "engine.txt"))
    assert settings.find_engine()[0].origin == "managed"
    assert sorted(item.name for item in root.iterdir()) == ["engine", "setup.log"]
    assert "Downloaded package 3" in (root / "setup.log").read_text()
    assert max(value for _, value in feedback.progresses) == 100


def test_chosen_build_of_torch(root, tmp_path, feedback, context):
    run({"BACKEND": "cpu"}, feedback, context)
    _, synced, torch = calls(tmp_path)
    assert synced.endswith("engine-without-torch.txt")
    assert "--torch-backend=cpu" in torch
    assert torch.split()[-2].startswith("torch==")
    assert torch.split()[-1].startswith("torchvision==")


def test_second_set_up_replaces_the_first(root, feedback, context):
    run({}, feedback, context)
    (root / "engine" / "old").write_text("")
    run({}, feedback, context)
    assert not (root / "engine" / "old").exists()
    assert sorted(item.name for item in root.iterdir()) == ["engine", "setup.log"]


@pytest.mark.parametrize("mode", ["sync", "broken engine"])
def test_failure_keeps_the_old_environment(root, tmp_path, feedback, context, fake_engine, monkeypatch, mode):
    run({}, feedback, context)
    (root / "engine" / "old").write_text("")
    if mode == "sync":
        monkeypatch.setenv("FAKE_UV", "sync")
    else:
        fake_engine.mode("missing")
    with pytest.raises(QgsProcessingException) as caught:
        run({}, feedback, context)
    assert (root / "engine" / "old").exists()
    assert not list(root.glob("engine.*"))
    log = (root / "setup.log").read_text()
    assert "secret" not in log + str(caught.value) + "".join(feedback.console)
    if mode == "sync":
        assert "timed out" in str(caught.value)
        assert "setup.log" in str(caught.value)
        assert "***@index" in log


def test_cancel_ends_the_installer(root, tmp_path, fake_engine, context, monkeypatch):
    monkeypatch.setenv("FAKE_UV", "hang")
    feedback = Feedback(cancel_after=1.5)
    started = time.monotonic()
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run({}, feedback, context)
    assert time.monotonic() - started < 3.5
    assert not [pid for pid in fake_engine.pids() if alive(pid)]
    assert not (root / "engine").exists()
    assert not list(root.glob("engine.new*"))


def test_verify_only(root, tmp_path, feedback, context, fake_engine, monkeypatch):
    with pytest.raises(QgsProcessingException, match="not set up yet"):
        run({"VERIFY_ONLY": True}, feedback, context)
    monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(fake_engine.program))
    result = run({"VERIFY_ONLY": True}, feedback, context)
    assert result == {"PYTHON": str(fake_engine.program), "ENGINE": "0.1.0"}
    assert not (tmp_path / "calls").exists()


def test_says_when_another_engine_is_used(root, feedback, context, fake_engine, monkeypatch):
    monkeypatch.setenv("FLAIR_ENGINE_PYTHON", str(fake_engine.program))
    run({}, feedback, context)
    assert any("is used instead" in text for text in feedback.warnings)


def test_uv_comes_through_pip_with_its_hash(root, tmp_path, feedback, monkeypatch):
    """Without uv on PATH."""
    uv = shutil.which("uv")
    monkeypatch.setattr(engine_environment.shutil, "which", lambda *args, **options: None)
    script = tmp_path / "python-with-pip"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/pip\nmkdir -p {root}/uv/bin\ncp {uv} {root}/uv/bin/uv\n')
    script.chmod(0o755)
    monkeypatch.setattr(engine_environment, "find_interpreter", lambda environment: script)
    EnvironmentBuilder("locked", feedback).build()
    arguments = (tmp_path / "pip").read_text()
    assert "--require-hashes" in arguments
    assert "--no-deps" in arguments
    assert str(ROOT / "resources" / "requirements" / "uv.txt") in arguments
    monkeypatch.setattr(engine_environment, "find_interpreter", lambda environment: None)
    EnvironmentBuilder("locked", feedback).build()
    shutil.rmtree(root / "uv")
    with pytest.raises(QgsProcessingException, match="Neither uv nor"):
        EnvironmentBuilder("locked", feedback).build()


def test_disk(tmp_path):
    check_disk(tmp_path, 0)
    with pytest.raises(QgsProcessingException, match="needs 1000000000 GB"):
        check_disk(tmp_path, 1e9)
    assert disk_needed("cpu", "linux") == 3
    assert disk_needed("locked", "linux") == 8
    assert disk_needed("locked", "win32") == 3
    assert disk_needed("cu128", "win32") == 8


def test_requirements_without_torch():
    text = (ROOT / "resources" / "requirements" / "engine.txt").read_text(encoding="utf-8")
    rest, pins = split_requirements(text)
    assert [pin.partition("==")[0] for pin in pins] == ["torch", "torchvision"]
    names = [line.partition("==")[0] for line in rest.splitlines() if line and line[0].isalpha()]
    assert "rasterio" in names
    assert not [name for name in names if name in ("torch", "triton") or name.startswith(("nvidia-", "cuda-"))]
    assert len(names) > 20
    # each entry kept its hashes
    assert all("\\" in line for line in rest.splitlines() if line and line[0].isalpha())


def test_proxy_of_qgis():
    given = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 8080, "joe", "p@ss/word")
    variables = proxy_variables(given, "localhost,intranet")
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://joe:p%40ss%2Fword@proxy.example:8080"
    assert variables["NO_PROXY"] == "localhost,intranet"
    assert proxy_variables(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy)) == {}
    socks = QNetworkProxy(QNetworkProxy.ProxyType.Socks5Proxy, "s", 1)
    assert proxy_variables(socks, "")["ALL_PROXY"] == "socks5://s:1"
    assert without_credentials("to http://joe:p%40ss@h:1/x and https://h/y") == "to http://***@h:1/x and https://h/y"


def test_proxy_reaches_the_installer_but_not_the_log(root, tmp_path, feedback, monkeypatch):
    address = {"HTTPS_PROXY": "http://joe:secret@proxy:8080"}
    monkeypatch.setattr(engine_environment, "proxy_variables", lambda: address)
    EnvironmentBuilder("locked", feedback).build()
    log = (root / "setup.log").read_text()
    assert "PROXY http://***@proxy:8080" in log
    assert "secret" not in log + "".join(feedback.console)


def test_proxy_setting_of_qgis_is_read(monkeypatch):
    from qgis.core import QgsNetworkAccessManager

    manager = QgsNetworkAccessManager.instance()
    before = manager.fallbackProxy()
    try:
        manager.setFallbackProxyAndExcludes(
            QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "h", 3128), ["http://intranet.example/x"], ["localhost"]
        )
        assert proxy.proxy_variables()["HTTPS_PROXY"] == "http://h:3128"
        assert "localhost" in proxy.proxy_variables()["NO_PROXY"]
        assert "intranet.example" in proxy.proxy_variables()["NO_PROXY"]
    finally:
        manager.setFallbackProxyAndExcludes(before, [], [])
