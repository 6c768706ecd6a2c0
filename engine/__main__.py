"""Entry point of `python -m engine`."""

from __future__ import annotations

import os
import sys

from engine.cli import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Libraries' threads and destructors must neither delay the end nor change the exit code;
    # every output is complete and synchronised by now.
    os._exit(code)
