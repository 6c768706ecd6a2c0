"""Files for servers have the form that their readers want, and call the engine and Dask as those can be called."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from engine import cli
from engine.errors import EngineError
from engine.requests import parse_request
from tests.house.test_docs import check_dask

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# Those that train have a file of tests to themselves.
SCRIPTS = sorted(path for path in (DEPLOY / "slurm").glob("*.sbatch") if path.stem != "train")
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "train")


def shell_words(path):
    """The commands of a script as words, with variables replaced by what they stand for by default."""
    text = path.read_text().replace("\\\n", " ")
    defaults = dict(re.findall(r'^([A-Z]+)="\$\{[A-Z]+:-([^$}]*)\}"', text, re.MULTILINE))
    defaults["HOST"] = "10.0.0.1"
    for line in text.splitlines():
        filled = re.sub(r"\$([A-Z]+)", lambda match: defaults[match[1]], line.strip().removesuffix("&"))
        if not filled.startswith("#"):
            yield shlex.split(filled)


def check_engine(arguments):
    command, values = cli._parse(arguments)
    return parse_request(command, values)


def containers(manifest):
    """All containers of a manifest."""
    if isinstance(manifest, dict):
        yield from manifest.get("containers", [])
        for value in manifest.values():
            yield from containers(value)
    elif isinstance(manifest, list):
        for value in manifest:
            yield from containers(value)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_and_call_what_there_is(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    engines, schedulers = [], []
    for words in shell_words(path):
        if words[1:3] == ["-m", "engine"]:
            engines.append(check_engine(words[3:]))
        elif words[1:3] == ["-m", "dask"]:
            schedulers.append(words[3])
            check_dask(words[3:])
        elif words[:1] == ["srun"]:
            inner = shlex.split(words[4].partition(" do ")[2].partition(";")[0])
            assert inner[:3] == ["$0", "-m", "dask"]
            check_dask(["tcp://10.0.0.1:8786" if word == "$1" else word for word in inner[3:]])
            schedulers.append("worker")
    assert [request.scheduler for request in engines] == ["tcp://10.0.0.1:8786"]
    assert sorted(schedulers) == ["scheduler", "worker"]


def test_manifests_are_valid_and_call_what_there_is():
    commands = []
    for path in MANIFESTS:
        for manifest in yaml.safe_load_all(path.read_text()):
            assert {"apiVersion", "kind", "metadata", "spec"} <= set(manifest)
            for container in containers(manifest):
                words = [*container.get("command", []), *container.get("args", [])]
                assert all(isinstance(word, str) for word in words)
                if words[:3] == ["python", "-m", "engine"]:
                    commands.append(check_engine(words[3:]).scheduler)
                else:
                    assert words[0] == "dask"
                    # the operator names the scheduler in a variable
                    known = ["tcp://flair-scheduler:8786"] if words[1] == "worker" else []
                    check_dask([words[1], *known, *words[2:]])
                    commands.append(words[1])
    assert sorted(commands) == ["scheduler", "tcp://flair-scheduler:8786", "worker"]


def test_the_service_is_the_one_that_the_classification_names():
    manifests = [item for path in MANIFESTS for item in yaml.safe_load_all(path.read_text())]
    cluster = next(item for item in manifests if item["kind"] == "DaskCluster")
    # the operator calls the service NAME-scheduler
    assert cluster["metadata"]["name"] == "flair"
    assert cluster["spec"]["scheduler"]["service"]["ports"][0]["port"] == 8786
    assert cluster["spec"]["scheduler"]["service"]["type"] == "ClusterIP"


def test_the_container_holds_what_exists():
    text = (DEPLOY / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+) \S+$", text, re.MULTILINE)
    assert copied == ["resources/requirements/engine.txt", "engine", "resources"]
    assert all((DEPLOY.parent / name).exists() for name in copied)


def test_the_script_for_job_queues_knows_its_cluster():
    tree = ast.parse((DEPLOY / "slurm" / "jobqueue.py").read_text())
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SLURMCluster"
    ]
    assert len(calls) == 1
    assert {item.arg for item in calls[0].keywords} >= {"cores", "processes", "memory", "walltime", "python"}


def test_a_wrong_option_is_found():
    with pytest.raises(EngineError):
        check_engine(["classify", "--schedular", "tcp://a:1"])
    with pytest.raises(click.UsageError):
        check_dask(["worker", "tcp://a:1", "--no-such-option"])
