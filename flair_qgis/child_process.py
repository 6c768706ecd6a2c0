"""A child process with all its descendants: start, read, stop."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Dict, List, Mapping, Optional, Sequence

# the engine needs up to 1.1 s to find words for what it leaves behind
GRACE = 1.5
MAX_LINE = 1 << 20


class ChildProcess:
    """A process in a group of its own, whose lines a thread collects.

    Args:
        arguments: Program and its arguments.
        environment: Its whole environment.
        folder: Its working folder.
        stderr: Where standard error goes; None merges it into the lines.
        keep_input: Whether it has a standard input, open until `stop`.

    Raises:
        OSError: The program cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        stderr: Optional[IO[bytes]] = None,
        keep_input: bool = False,
    ) -> None:
        self._lines: queue.Queue[Optional[bytes]] = queue.Queue()
        self._process = subprocess.Popen(  # a list of arguments, no shell  # nosec B603
            list(arguments),
            stdin=subprocess.PIPE if keep_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stderr is None else stderr,
            env=dict(environment),
            cwd=str(folder),
            **group_options(),
        )
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="flair-reader", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id, on POSIX also that of the group."""
        return self._process.pid

    def send(self, text: str) -> None:
        """Write to standard input and leave it open; returns at once, even when nobody reads there."""
        threading.Thread(target=self._write, args=(text.encode("utf-8"),), name="flair-writer", daemon=True).start()

    def lines(self, timeout: float) -> List[str]:
        """Return the lines that arrive within a time in seconds; as soon as there are any."""
        found: List[str] = []
        wait: Optional[float] = timeout
        while True:
            try:
                raw = self._lines.get(timeout=wait) if wait else self._lines.get_nowait()
            except queue.Empty:
                return found
            if raw is None:
                self._lines.put(None)
                if not found and wait:
                    time.sleep(min(0.02, wait))
                return found
            found.append(raw.decode("utf-8", errors="replace").rstrip("\r\n"))
            wait = 0

    def finished(self) -> bool:
        """Whether the process itself has ended; descendants and unread lines may remain."""
        return self._process.poll() is not None

    def close(self) -> int:
        """End what is left of the group after the process ended, and return its exit code.

        The lines are complete afterwards: a descendant that survived can no longer hold the pipe open.
        """
        self._closed = True
        self._reader.join(0.2)
        self._kill_group()
        self._reader.join(2)
        self._close_input()
        return self._process.wait()

    def stop(self, grace: float = GRACE) -> None:
        """End the process and its descendants: ask, wait up to `grace` seconds, then force.

        What the process said until then can be read with `lines` afterwards.
        """
        if self._closed:
            return  # the process id may belong to somebody else by now
        self._closed = True
        if os.name == "nt":
            # the children can only be found while their parent lives, so there is no asking first
            kill_tree_windows(self.pid)
        else:
            self._signal_group(signal.SIGTERM)
            end = time.monotonic() + grace
            while not self.finished() and time.monotonic() < end:
                time.sleep(0.02)
        self._kill_group()
        try:
            self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return  # it hangs in the kernel, for instance in a network drive; it ends when that answers
        finally:
            self._close_input()
        self._reader.join(0.5)  # its last words may still be in the pipe

    def _read(self) -> None:
        stream = self._process.stdout
        try:
            while stream is not None:
                line = stream.readline(MAX_LINE)
                if not line:
                    break
                self._lines.put(line)
        except (OSError, ValueError):
            return
        finally:
            self._lines.put(None)
            if stream is not None:
                stream.close()

    def _write(self, data: bytes) -> None:
        stream = self._process.stdin
        try:
            if stream is not None:
                stream.write(data)
                stream.flush()
        except (OSError, ValueError):
            return  # it ended before it read everything; its exit code tells why

    def _close_input(self) -> None:
        stream = self._process.stdin
        try:
            if stream is not None:
                stream.close()
        except OSError:
            return

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def _kill_group(self) -> None:
        if os.name == "nt":
            if not self.finished():
                kill_tree_windows(self.pid)
                self._process.kill()
        else:
            self._signal_group(signal.SIGKILL)


def group_options(platform: str = sys.platform) -> Dict[str, Any]:
    """Return the options of Popen that start a group of its own, on Windows without a console window."""
    if platform != "win32":
        return {"start_new_session": True}
    # the numbers, because the names exist on Windows only
    options: Dict[str, Any] = {"creationflags": 0x00000200 | 0x08000000}  # NEW_PROCESS_GROUP, NO_WINDOW
    if hasattr(subprocess, "STARTUPINFO"):
        hidden = subprocess.STARTUPINFO()
        hidden.dwFlags |= subprocess.STARTF_USESHOWWINDOW
        options["startupinfo"] = hidden
    return options


def kill_tree_windows(pid: int) -> None:
    """End a process and its descendants on Windows."""
    taskkill = str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe")
    try:
        subprocess.run(  # a list of arguments, no shell  # nosec B603
            [taskkill, "/T", "/F", "/PID", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=5,
            check=False,
            **group_options("win32"),
        )
    except (OSError, subprocess.TimeoutExpired):
        return
