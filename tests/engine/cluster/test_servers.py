"""What stands in the pages and scripts for servers, as far as one computer can try it."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
from distributed import Security

from tests.engine import tiny
from tests.engine.cluster.conftest import TILES, Cluster, free_port, wait_for

# Two tasks; a signal ends them with all that they started, as that of SLURM does.
SRUN = """#!{python}
import os, signal, subprocess, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
tasks = [subprocess.Popen(words, start_new_session=True) for _ in range(2)]
def stop(*_):
    for task in tasks:
        os.killpg(task.pid, signal.SIGKILL)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
for task in tasks:
    task.wait()
"""


def test_the_script_for_slurm_makes_the_map_and_ends_all_it_started(
    tiny_model, tiny_graph, image, tmp_path, shared_cache
):
    (tmp_path / "bin").mkdir()
    srun = tmp_path / "bin" / "srun"
    srun.write_text(SRUN.format(python=sys.executable))
    srun.chmod(0o755)
    environment = {
        **tiny.engine_environment(FLAIR_CACHE_DIR=shared_cache, OMP_NUM_THREADS="1"),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PLUGIN": str(tiny.ROOT),
        "PYTHON": sys.executable,
        "MODEL": str(tiny_model[0].path),
        "INPUT": image,
        "OUTPUT": str(tmp_path / "o.vrt"),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "MARK": str(tmp_path),
    }
    script = tiny.ROOT / "deploy" / "slurm" / "cluster.sbatch"
    done = subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tiny.read(tmp_path / "o.vrt") > 0).any()
    wait_for(lambda: not marked(str(tmp_path)), "all processes to end", 20)


def marked(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture
def certificates(tmp_path):
    """Dask's configuration for TLS, as variables."""
    pytest.importorskip("cryptography", reason="certificates are made with the package cryptography")
    made = Security.temporary()
    authority, own, key = tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own.key"
    authority.write_text(made.tls_ca_file)
    own.write_text(made.tls_client_cert)
    key.write_text(made.tls_client_key)
    variables = {"REQUIRE_ENCRYPTION": "true", "TLS__CA_FILE": str(authority)}
    for part in ("SCHEDULER", "WORKER", "CLIENT"):
        variables |= {f"TLS__{part}__CERT": str(own), f"TLS__{part}__KEY": str(key)}
    return {f"DASK_DISTRIBUTED__COMM__{name}": value for name, value in variables.items()}


def test_tls_by_dasks_configuration(tiny_model, tiny_graph, image, alone, tmp_path, shared_cache, certificates):
    cluster = Cluster(tmp_path, shared_cache, "tls", certificates)
    try:
        cluster.start_worker()
        options = [f"--{key}={value}" for key, value in TILES.items()]
        command = [sys.executable, "-m", "engine", "classify", "--scheduler", cluster.address, "--input", image]
        command += ["--model", str(tiny_model[0].path), "--output", str(tmp_path / "o.tif"), *options]
        environment = tiny.engine_environment(FLAIR_CACHE_DIR=shared_cache)
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert refused.returncode == 6
        assert "certificates" in refused.stderr
        assert "Traceback" not in refused.stderr
        done = subprocess.run(command, env={**environment, **certificates}, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "o.tif").read_bytes() == alone[0]
    finally:
        cluster.close()
