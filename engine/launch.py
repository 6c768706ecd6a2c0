"""How this process was started: alone, or as one of several that train together; known without torch."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from engine.errors import RequestError

# Where the first process of a job listens; a second job on the same machine has another number.
_FIRST_PORT, _PORTS = 20000, 20000


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that train together.

    Args:
        rank: Number among all, from 0.
        processes: How many there are.
        local_rank: Number on this machine, from 0.
        local_processes: How many there are on this machine.
        node: Number of the machine, from 0.
        address: Host on which they meet; empty where the process is alone.
        port: Port on which they meet.
        hosted: Whether whoever started them listens there; else the first of them does.
        starter: Who started them, as a sentence names it; empty for a person.
    """

    rank: int = 0
    processes: int = 1
    local_rank: int = 0
    local_processes: int = 1
    node: int = 0
    address: str = ""
    port: int = 0
    hosted: bool = False
    starter: str = ""

    @property
    def nodes(self) -> int:
        """Machines; each has the same number of processes."""
        return self.processes // self.local_processes

    @property
    def name(self) -> str:
        """What a message calls this process."""
        return f"Process {self.rank} of {self.processes} (on {socket.gethostname()})"


def current_launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Return how this process was started.

    torchrun's numbers come first: within SLURM, those of the task are the machine's. In the script of a SLURM job,
    outside of `srun`, a process is alone, whatever number of tasks the job has.

    Raises:
        RequestError: The machines have different numbers of processes, or a number is missing.
    """
    try:
        if "RANK" in environment and "WORLD_SIZE" in environment:
            launch = _by_torchrun(environment)
        elif _slurm_tasks(environment) > 1:
            launch = _by_slurm(environment)
        else:
            return Launch()
    except (KeyError, ValueError) as error:
        raise RequestError(
            f"The variables of the environment that number the processes are not as expected: {error}.",
            "Start with torchrun, or with srun of SLURM.",
        ) from error
    return launch


def is_first_process() -> bool:
    """Return whether this is the first or only process of a run."""
    return current_launch().rank == 0


def _by_torchrun(environment: Mapping[str, str]) -> Launch:
    local = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    rank, processes = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    if processes % local:
        raise _uneven("torchrun", processes, "--nproc-per-node")
    return Launch(
        rank=rank,
        processes=processes,
        local_rank=int(environment.get("LOCAL_RANK", "0")),
        local_processes=local,
        node=int(environment.get("GROUP_RANK", rank // local)),
        address=environment.get("MASTER_ADDR", "127.0.0.1"),
        port=int(environment["MASTER_PORT"]),
        hosted=environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
        starter="torchrun",
    )


def _slurm_tasks(environment: Mapping[str, str]) -> int:
    if "SLURM_STEP_ID" not in environment or "SLURM_PROCID" not in environment:
        return 1
    return int(environment.get("SLURM_STEP_NUM_TASKS") or environment.get("SLURM_NTASKS") or 1)


def _by_slurm(environment: Mapping[str, str]) -> Launch:
    tasks = _slurm_tasks(environment)
    nodes = int(environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_NNODES") or 1)
    if tasks % nodes:
        raise _uneven("SLURM", tasks, "--ntasks-per-node")
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or "127.0.0.1"
    step = int(environment.get("SLURM_JOB_ID", "0")) * 7 + int(environment["SLURM_STEP_ID"])
    return Launch(
        rank=int(environment["SLURM_PROCID"]),
        processes=tasks,
        local_rank=int(environment["SLURM_LOCALID"]),
        local_processes=tasks // nodes,
        node=int(environment.get("SLURM_NODEID", "0")),
        address=environment.get("MASTER_ADDR") or first_host(hosts),
        port=int(environment.get("MASTER_PORT") or _FIRST_PORT + step % _PORTS),
        starter="SLURM",
    )


def _uneven(starter: str, processes: int, option: str) -> RequestError:
    return RequestError(
        f"{starter} started {processes} processes, but not the same number on each machine.",
        f"Choose one number for all machines ({option}).",
    )


def first_host(hosts: str) -> str:
    """Return the first of SLURM's hosts, such as `node007` for `node[007-010,12],login`.

    Args:
        hosts: Names with commas between them, numbers in brackets.
    """
    name = ""
    inside = False
    skipping = False
    for letter in hosts:
        if letter == "[":
            inside = True
        elif letter == "]":
            inside, skipping = False, False
        elif inside and letter in "-,":
            skipping = True
        elif letter == "," and not inside:
            break
        elif not skipping:
            name += letter
    return name
