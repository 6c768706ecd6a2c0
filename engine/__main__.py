"""Entry point of `python -m engine`."""

from __future__ import annotations

import os
import sys

import psutil

from engine.cli import main


def _end_children() -> None:
    """End processes that libraries started and left; they would hold our pipes open.

    torch's compiler, for one, starts a pool of workers as soon as it is imported.
    """
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue


if __name__ == "__main__":
    # Nothing here compiles enough at a time to need a pool of compilers.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    # The hub's client reads this when it is imported, be it by us or by a library that we use.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    _end_children()
    # Libraries' threads and destructors must neither delay the end nor change the exit code;
    # every output is complete and synchronised by now.
    os._exit(code)
