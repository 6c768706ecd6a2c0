"""Classification over several hosts whose links are cut for a while: the map has to be the same.

    python benchmarks/cluster_hosts.py [--seconds 30] [--cut worker client scheduler]

Hosts are network namespaces of this computer, joined by a bridge in one more: a scheduler, a client, two workers. All
share this computer's disk. Each cut takes down one host's link while tiles are computed. Needs root and `ip netns`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess  # nosec B404 - our own programs, from lists of arguments
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from engine.models.architecture import network_of
from engine.models.catalogue import find_entry
from engine.models.model_file import save_model

ROOT = Path(__file__).resolve().parent.parent
HOSTS = {"scheduler": 1, "client": 2, "worker": 3, "other": 4}
PORT = 8786
NET = "10.213.7"
MODEL = "FLAIR-INC_rgb_15cl_resnet34-unet"


def why_not() -> str | None:
    """Return why hosts cannot be made here, None where they can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "the program ip is missing"
    name = f"flair-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return "network namespaces cannot be made here"
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None


class Hosts:
    """Network namespaces on one bridge."""

    def __init__(self) -> None:
        self._mark = os.getpid()
        self._switch = f"flair-{self._mark}-switch"
        _ip("netns", "add", self._switch)
        self._in(self._switch, "link", "add", "bridge", "type", "bridge")
        self._in(self._switch, "link", "set", "bridge", "up")
        for host, number in HOSTS.items():
            _ip("netns", "add", self.name(host))
            port = f"port{number}"
            self._in(self._switch, "link", "add", port, "type", "veth", "peer", "name", "eth", "netns", self.name(host))
            self._in(self._switch, "link", "set", port, "master", "bridge", "up")
            self._in(self.name(host), "address", "add", f"{NET}.{number}/24", "dev", "eth")
            self._in(self.name(host), "link", "set", "eth", "up")
            self._in(self.name(host), "link", "set", "lo", "up")

    def name(self, host: str) -> str:
        """Return a host's namespace."""
        return f"flair-{self._mark}-{host}"

    def cut(self, host: str, seconds: float) -> None:
        """Take down a host's link for a while."""
        self._in(self._switch, "link", "set", f"port{HOSTS[host]}", "down")
        time.sleep(seconds)
        self._in(self._switch, "link", "set", f"port{HOSTS[host]}", "up")

    def close(self) -> None:
        """Remove all of it."""
        for name in (*map(self.name, HOSTS), self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def _in(self, namespace: str, *arguments: str) -> None:
        _ip("-n", namespace, *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def programs(hosts: Hosts, cache: Path) -> Iterator[Sequence[str]]:
    """Run a scheduler and two workers, each started again when it ends; yields how to run on the client."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "FLAIR_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"
    }  # fmt: skip
    address = f"tcp://{NET}.1:{PORT}"
    scheduler = ["scheduler", "--host", f"{NET}.1", "--port", str(PORT), "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "2", "--memory-limit", "0", "--no-dashboard"]
    running = []
    for host, arguments in (("scheduler", scheduler), ("worker", worker), ("other", worker)):
        loop = 'while :; do "$@"; sleep 1; done'
        command = ["ip", "netns", "exec", hosts.name(host), "bash", "-c", loop, "loop", sys.executable, "-m", "dask"]
        log = (cache.parent / f"{host}.log").open("w")
        running.append(
            subprocess.Popen([*command, *arguments], env=environment, stdout=log, stderr=log, start_new_session=True)
        )
    try:
        yield ["ip", "netns", "exec", hosts.name("client"), sys.executable, "-m", "engine", "classify"]
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def write_image(path: Path, side: int) -> None:
    """Write a random image of squares."""
    squares = np.random.default_rng(0).integers(30, 226, (3, side // 32, side // 32), dtype=np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "crs": "EPSG:2154"}
    with rasterio.open(path, "w", **profile, transform=from_origin(900_000, 6_500_000, 0.2, 0.2)) as target:
        target.write(np.kron(squares, np.ones((1, 32, 32), dtype=np.uint8)))


def main() -> int:
    """Run it, and return 0 where each map is the same as that of one process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long a link is cut")
    parser.add_argument("--cut", nargs="+", choices=["worker", "client", "scheduler"], default=["worker", "client"])
    parser.add_argument("--side", type=int, default=1536, help="pixels of the image's side")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        print(f"Not run: {reason}.")
        return 0
    different = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, model, cache = folder / "image.tif", folder / "model.safetensors", folder / "cache"
        write_image(image, options.side)
        manifest = find_entry(MODEL).manifest
        save_model(model, network_of(manifest), manifest)
        common = ["--model", str(model), "--input", str(image), "--window", "64", "--threads", "1", "--allow-range"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLAIR_CACHE_DIR": str(cache)}
        alone = folder / "alone.tif"
        command = [sys.executable, "-m", "engine", "classify", *common, "--output", str(alone)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        for cut in options.cut:
            hosts = Hosts()
            try:
                with programs(hosts, cache) as client:
                    output = folder / f"{cut}.tif"
                    began = time.monotonic()
                    address = f"tcp://{NET}.1:{PORT}"
                    run = subprocess.Popen(
                        [*client, *common, "--output", str(output), "--scheduler", address],
                        env=environment,
                        stdout=subprocess.DEVNULL,
                    )
                    journal = folder / f".{output.name}.flair-work" / "journal.jsonl"
                    while run.poll() is None and not (journal.is_file() and journal.stat().st_size):
                        time.sleep(0.1)
                    print(f"-- the link of '{cut}' is cut for {options.seconds:g} s", flush=True)
                    hosts.cut(cut, options.seconds)
                    print("-- and there again", flush=True)
                    code = run.wait()
                    same = code == 0 and output.read_bytes() == alone.read_bytes()
                    different += not same
                    seconds = time.monotonic() - began
                    print(f"{cut}: exit code {code}, {seconds:.0f} s, {'the same map' if same else 'ANOTHER MAP'}")
            finally:
                hosts.close()
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
