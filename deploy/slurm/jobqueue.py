"""A cluster whose workers are SLURM jobs of their own, by dask-jobqueue, and the classification that uses it.

    python deploy/slurm/jobqueue.py --partition gpu --jobs 8 -- --model /shared/models/model.safetensors \
        --input /shared/imagery --output /shared/maps/landcover.vrt --layout sheets

Needs the package dask-jobqueue beside the engine's own. Jobs come and go as the queue lets them.
"""

from __future__ import annotations

import argparse
import os
import subprocess  # nosec B404 - starts the engine, from a list of arguments
import sys
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start the cluster, run the engine to its end, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partition", help="partition of SLURM")
    parser.add_argument("--account", help="account of SLURM")
    parser.add_argument("--jobs", type=int, default=4, help="jobs, one worker each")
    parser.add_argument("--cores", type=int, default=8, help="cores of a job")
    parser.add_argument("--memory", default="16GB", help="memory of a job")
    parser.add_argument("--walltime", default="04:00:00", help="longest duration of a job")
    parser.add_argument("--gpus", type=int, default=0, choices=(0, 1), help="GPUs of a job")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="-- and the options of `classify`")
    given = parser.parse_args()

    from dask_jobqueue import SLURMCluster

    environment = {**os.environ, "PYTHONPATH": str(PLUGIN)}
    cluster = SLURMCluster(
        queue=given.partition,
        account=given.account,
        # Two tasks a worker: one predicts while the other reads. The engine itself uses all cores of the job.
        cores=2,
        processes=1,
        job_cpu=given.cores,
        memory=given.memory,
        worker_extra_args=["--memory-limit", "0"],
        walltime=given.walltime,
        python=sys.executable,
        job_script_prologue=[f"export PYTHONPATH='{PLUGIN}'"],
        job_extra_directives=["--gpus=1"] if given.gpus else [],
    )
    cluster.scale(jobs=given.jobs)
    options = [item for item in given.options if item != "--"]
    command = [sys.executable, "-m", "engine", "classify", "--scheduler", cluster.scheduler_address, *options]
    try:
        return subprocess.run(command, env=environment, check=False).returncode  # nosec B603 - our own program
    finally:
        cluster.close()


if __name__ == "__main__":
    raise SystemExit(main())
