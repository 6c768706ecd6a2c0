"""Files that start a training on a cluster: valid, and the command in them is one of the engine's."""

from __future__ import annotations

import re
import shlex
import string
import subprocess

import pytest
import yaml

from engine.errors import EngineError
from tests.house.test_docs import DOCS, check_engine

VARIABLES = {"DATA": "patches", "OUTPUT": "model.safetensors"}


def test_batch_script_is_valid(root):
    script = root / "deploy" / "slurm" / "train.sbatch"
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    text = script.read_text(encoding="utf-8")
    commands = [line for line in text.replace("\\\n", " ").splitlines() if "-m engine train" in line and line[0] != "#"]
    assert len(commands) == 1
    words = shlex.split(string.Template(commands[0].replace('"$@" &', "")).safe_substitute(VARIABLES))
    check_engine(words)
    with pytest.raises(EngineError, match="outptu"):
        check_engine([word.replace("--output", "--outptu") for word in words])
    # SLURM reads options only until the first command.
    head = re.split(r"^[^#\n]", text, maxsplit=1, flags=re.MULTILINE)[0]
    assert head.count("\n#SBATCH --") == text.count("#SBATCH --") > 5


def test_job_of_kubernetes_is_valid(root):
    text = (root / "deploy" / "kubernetes" / "train.yaml").read_text(encoding="utf-8")
    service, job = yaml.safe_load_all(text)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    words = container["command"]
    check_engine(words)
    options = dict(word.removeprefix("--").split("=") for word in words if "=" in word)
    # The same numbers and names stand in several places.
    assert int(options["nnodes"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert options["nproc-per-node"] == container["resources"]["limits"]["nvidia.com/gpu"]
    name = job["metadata"]["name"]
    assert service["metadata"]["name"] == pod["subdomain"] == service["spec"]["selector"]["job-name"] == name
    assert options["rdzv-endpoint"] == f"{name}-0.{pod['subdomain']}:{service['spec']['ports'][0]['port']}"
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_files_that_the_pages_name_exist(root):
    named = {name for path in DOCS.rglob("*.md") for name in re.findall(r"deploy/\w+/train\.\w+", path.read_text())}
    assert {path.relative_to(root).as_posix() for path in (root / "deploy").glob("*/train.*")} == named
