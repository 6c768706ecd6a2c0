from __future__ import annotations

import pytest

from engine.errors import RequestError
from engine.launch import Launch, current_launch, first_host

TORCHRUN = {
    "RANK": "6", "WORLD_SIZE": "8", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1",
    "MASTER_ADDR": "first", "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip
SLURM = {
    "SLURM_JOB_ID": "100", "SLURM_STEP_ID": "3", "SLURM_NTASKS": "6", "SLURM_STEP_NUM_TASKS": "6", "SLURM_NNODES": "2",
    "SLURM_PROCID": "4", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "node[007-008]",
}  # fmt: skip


def test_a_process_is_alone_where_nobody_started_several():
    assert current_launch({}) == Launch()
    # The script of a job with several tasks, outside of srun.
    script = {key: value for key, value in SLURM.items() if not key.startswith("SLURM_STEP")}
    assert current_launch({**script, "SLURM_PROCID": "0"}) == Launch()
    # A step of one task within it, as an interactive shell is.
    assert current_launch({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}) == Launch()


def test_numbers_of_torchrun():
    found = current_launch(TORCHRUN)
    assert found == Launch(6, 8, 2, 4, 1, "first", 29500, True, "torchrun")
    assert found.nodes == 2
    # torchrun within SLURM: one task a machine, several processes in it.
    assert current_launch({**SLURM, **TORCHRUN}) == found
    # An operator of Kubernetes gives one process a pod, and no agent listens.
    few = {key: TORCHRUN[key] for key in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    assert current_launch(few) == Launch(6, 8, 0, 1, 6, "first", 29500, False, "torchrun")


def test_numbers_of_slurm():
    found = current_launch(SLURM)
    assert (found.rank, found.processes, found.local_rank, found.local_processes, found.node) == (4, 6, 1, 3, 1)
    assert found.address == "node007"
    assert not found.hosted
    other = current_launch({**SLURM, "SLURM_STEP_ID": "4"})
    assert found.port != other.port
    assert current_launch({**SLURM, "MASTER_ADDR": "other", "MASTER_PORT": "5"}).address == "other"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "5"}, "SLURM started 5 processes, but not the same number"),
        ({**TORCHRUN, "WORLD_SIZE": "6"}, "torchrun started 6 processes, but not the same number"),
        ({**TORCHRUN, "RANK": "first"}, "are not as expected"),
        ({key: value for key, value in TORCHRUN.items() if key != "MASTER_PORT"}, "MASTER_PORT"),
    ],
)
def test_what_does_not_fit_is_refused(environment, words):
    with pytest.raises(RequestError, match=words):
        current_launch(environment)


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("localhost", "localhost"),
        ("node[007-010,12],login", "node007"),
        ("gpu-[3,5]-ib", "gpu-3-ib"),
        ("a,b", "a"),
        ("rack[1-2]node[4-5]", "rack1node4"),
    ],
)
def test_the_first_host_of_a_list(hosts, first):
    assert first_host(hosts) == first
