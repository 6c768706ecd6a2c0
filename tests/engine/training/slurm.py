"""A SLURM of one machine: `srun` and `scontrol` that start real processes with the variables of the real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

NODES = int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))


def srun(arguments):
    """Start the command once a task, hand signals on, end all when one fails; returns the greatest exit code."""
    tasks = NODES * int(os.environ["SLURM_NTASKS_PER_NODE"])
    while arguments[0].startswith("--"):
        arguments = arguments[1:]
    started = []
    for task in range(tasks):
        place = {"PROCID": task, "NODEID": task * NODES // tasks, "LOCALID": task % (tasks // NODES), "STEP_ID": 0}
        place |= {"NTASKS": tasks, "STEP_NUM_TASKS": tasks, "STEP_NUM_NODES": NODES}
        environment = {**os.environ, **{f"SLURM_{key}": str(value) for key, value in place.items()}}
        started.append(subprocess.Popen(arguments, env=environment))

    def hand_on(number, frame):
        for process in started:
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, hand_on)
    left, codes = list(started), []
    while left:
        pid, status = os.wait()
        codes.append(os.waitstatus_to_exitcode(status))
        left = [process for process in left if process.pid != pid]
        if codes[-1] and left:
            for process in left:
                process.terminate()
    return max(128 - code if code < 0 else code for code in codes)


def scontrol(arguments):
    """Name the hosts, all of which are this one, or write down that a job goes back into the queue."""
    if arguments[:2] == ["show", "hostnames"]:
        print("\n".join(["127.0.0.1"] * NODES))
    else:
        Path(os.environ["FAKE_QUEUE"]).write_text(" ".join(arguments))
    return 0


def install(folder):
    """Write `srun` and `scontrol` into a folder; returns what a batch script finds in its environment."""
    for name in ("srun", "scontrol"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        program.chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "FAKE_QUEUE": str(folder / "queue"),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_JOB_NAME": "flair-train",
        "SLURM_PROCID": "0",
    }


if __name__ == "__main__":
    sys.exit({"srun": srun, "scontrol": scontrol}[sys.argv[1]](sys.argv[2:]))
