#!/usr/bin/env bash
# Check style, types and security; all checks run, the exit code tells whether any failed.
set -uo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
status=0
check() {
    echo "== $*"
    "$python" -m "$@" || status=1
}
check ruff check .
check ruff format --check .
check mypy
# The rules that the QGIS plugin repository applies to an upload; B404 (import subprocess) is off there.
check bandit --quiet --recursive --configfile pyproject.toml --skip B404 engine flair_qgis __init__.py
exit $status
