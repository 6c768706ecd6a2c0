"""One training by several processes, as torchrun and SLURM start them, on good and bad days."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from safetensors.torch import load_file

from tests.engine import tiny
from tests.engine.commands.test_train import command, history, wait_for, write_dataset
from tests.engine.training import slurm

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--max-restarts", "3", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    # Three patches to judge do not go evenly into two processes.
    return write_dataset(tmp_path_factory.mktemp("data"), counts=(4, 3, 0))


def start(words, output, **environment):
    return subprocess.Popen(
        words, stdout=output.with_suffix(".log").open("a"), stderr=subprocess.STDOUT, cwd=tiny.ROOT,
        env=tiny.engine_environment(OMP_NUM_THREADS=1, **environment),
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """What two processes learn whom nobody disturbs."""
    output = tmp_path_factory.mktemp("undisturbed") / "model.safetensors"
    process = start(command(data, output, devices=2), output)
    assert process.wait(120) == 0, output.with_suffix(".log").read_text()
    return history(output), load_file(output)


def same(output, undisturbed):
    figures, weights = undisturbed
    found = load_file(output)
    return history(output) == figures and all(bool((found[name] == weights[name]).all()) for name in weights)


def test_torchrun_goes_on_when_a_process_is_killed(data, undisturbed, tmp_path):
    output = tmp_path / "model.safetensors"
    words = [*TORCHRUN, "--standalone", *command(data, output)[1:]]
    process = start(words, output)
    wait_for("Epoch 1 of 2: loss", process, output)
    psutil.Process(process.pid).children()[-1].kill()
    assert process.wait(120) == 0, output.with_suffix(".log").read_text()
    log = output.with_suffix(".log").read_text()
    assert "Going on with the training that was interrupted" in log
    assert log.count("Epoch 2 of 2: loss") == 1
    assert same(output, undisturbed)


def test_the_batch_script_goes_back_into_the_queue_and_on(data, undisturbed, tmp_path):
    """Two machines, one process each; the time is over after the first epoch."""
    output = tmp_path / "model.safetensors"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = slurm.install(tmp_path) | {
        "DATA": str(data), "OUTPUT": str(output), "PROCESSES": "1", "PORT": str(port),
        "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS_PER_NODE": "1",
    }  # fmt: skip
    options = command(data, output)[8:]
    script = ["bash", str(tiny.ROOT / "deploy" / "slurm" / "train.sbatch"), *options]
    process = start(script, output, **environment)
    wait_for("Epoch 1 of 2: loss", process, output)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 0
    log = output.with_suffix(".log").read_text()
    assert (tmp_path / "queue").read_text() == f"requeue {os.getpid()}"
    assert "The best model so far" in log
    assert not output.exists()
    process = start(script, output, **environment, SLURM_RESTART_COUNT=1)
    assert process.wait(120) == 0, output.with_suffix(".log").read_text()
    assert "Going on with the training that was interrupted" in output.with_suffix(".log").read_text()
    assert same(output, undisturbed)


def test_srun_without_torchrun_says_once_what_is_wrong(data, tmp_path):
    output = tmp_path / "model.safetensors"
    environment = slurm.install(tmp_path) | {"SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "2"}
    words = [str(tmp_path / "srun"), *command(data, output, batch_size=3)]
    process = start(words, output, **environment)
    assert process.wait(60) == 2
    log = output.with_suffix(".log").read_text()
    assert log.count("A batch of 3 patches cannot be dealt out evenly to 2 processes") == 1
    assert "Traceback" not in log


def test_numbers_that_do_not_fit_how_it_was_started(data, tmp_path):
    output = tmp_path / "model.safetensors"
    place = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": 1}
    process = start(command(data, output, nodes=3), output, **place)
    assert process.wait(60) == 2
    assert "3 nodes are asked for, but torchrun started processes for 1" in output.with_suffix(".log").read_text()
