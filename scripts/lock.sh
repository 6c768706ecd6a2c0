#!/usr/bin/env bash
# Resolve the requirements anew into lock files with hashes, and check that wheels exist for every system and
# Python we support. No index address goes into the files: each machine uses its own.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv.sh
uv=$(ensure_uv)

cd resources/requirements
for name in uv engine dev qgis-test docs; do # engine before dev: dev.in is constrained by engine.txt
    "$uv" pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
        --no-header "$name.in" --output-file "$name.txt" >/dev/null
    echo "$name.txt: $(grep -c '==' "$name.txt") pins"
done
# macOS 14 is the oldest for which torch has wheels.
export MACOSX_DEPLOYMENT_TARGET=14.0
for platform in linux windows macos; do
    for python in 3.10 3.11 3.12 3.13 3.14; do
        "$uv" pip compile --quiet --no-header --no-annotate --only-binary :all: --python-platform "$platform" \
            --python-version "$python" engine.txt dev.txt >/dev/null
        echo "$platform, Python $python: wheels for everything"
    done
done
