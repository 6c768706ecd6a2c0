#!/usr/bin/env bash
# Run all tests: the engine's and the house's in the engine's Python, the plugin's in QGIS's. All run, even when
# some fail; the exit code tells whether any did.
set -uo pipefail
cd "$(dirname "$0")/.."
workers=${1:-2}
status=0
export QT_QPA_PLATFORM=offscreen

run() { # title, pytest of which Python, folders
    local title=$1 python=$2
    shift 2
    echo "== $title"
    # A worker that has nothing left takes over from another: long tests do not queue up behind each other at the end.
    "$python" -m pytest -n "$workers" --dist worksteal "$@"
    local code=$?
    [ $code -eq 5 ] && echo "No test was found: $*" # pytest's code for an empty run: a mistake here
    [ $code -eq 0 ] || status=1
}

run "Engine and house" .venv/bin/python tests/engine tests/house
run "Plugin in QGIS" .venv-qgis/bin/python tests/plugin
run "End to end" .venv/bin/python tests/end_to_end
exit $status
