#!/usr/bin/env bash
# Make everything the other targets need: QGIS and tools from Debian, a pinned uv in .tools/, the engine's Python
# in .venv/ from a lock with hashes, and .venv-qgis/ (the system's Python with PyQGIS, and pytest).
#
# TORCH_BACKEND=auto|cpu|cu130|...     which build of torch; default: the one of the package index, as locked.
#                                      Remembered in .venv/; TORCH_BACKEND=default goes back.
# ENGINE_PYTHON_VERSION=3.10 ... 3.14  default: the system's Python where it fits.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv.sh
locks=resources/requirements
system_python=/usr/bin/python3

install_debian_packages() {
    command -v apt-get >/dev/null || return 0
    local missing=() package
    # The tests ask QGIS Server for pictures, coverages and tiles, each of which is a package of its own.
    for package in qgis python3-qgis qgis-providers qgis-server-{bin,wms,wcs,wmts} python3-venv xvfb xauth git \
        ca-certificates; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "Installing from Debian: ${missing[*]}"
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    retry "${root[@]}" apt-get update -q
    retry "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# The newest Python from 3.10 to 3.14 at hand, the system's first.
engine_python() {
    if [ -n "${ENGINE_PYTHON_VERSION:-}" ]; then echo "$ENGINE_PYTHON_VERSION" && return; fi
    local candidate
    for candidate in "$system_python" python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            command -v "$candidate" && return
        fi
    done
    echo "The engine needs Python 3.10 to 3.14 with its venv module; none was found." >&2
    return 1
}

make_engine_environment() {
    local uv=$1 backend=$2 python=.venv/bin/python
    "$uv" venv --quiet --clear --python "$(engine_python)" .venv
    if [ "$backend" = default ]; then
        retry "$uv" pip install --python "$python" --require-hashes -r $locks/engine.txt -r $locks/dev.txt
        return
    fi
    # Builds for other backends have other hashes: uv picks torch and what it brings, the lock pins all the rest.
    local torch rest=build/engine-without-torch.txt
    torch=$(grep -oE '^(torch|torchvision)==[0-9.]+' $locks/engine.txt)
    mkdir -p build
    awk '/^[a-z0-9]/ { skip = ($0 ~ /^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/) } !skip' \
        $locks/engine.txt >"$rest"
    # shellcheck disable=SC2086 # two words on purpose: torch and torchvision
    retry "$uv" pip install --python "$python" --torch-backend="$backend" $torch
    retry "$uv" pip install --python "$python" --require-hashes --no-deps -r "$rest" -r $locks/dev.txt
}

make_qgis_environment() {
    local uv=$1
    "$uv" venv --quiet --clear --python "$system_python" --system-site-packages .venv-qgis
    retry "$uv" pip install --quiet --python .venv-qgis/bin/python --require-hashes -r $locks/qgis-test.txt
}

up_to_date() { # folder of the environment, what it should have been made from
    [ -x "$1/bin/python" ] && [ "$(cat "$1/.made-from" 2>/dev/null)" = "$2" ]
}

install_debian_packages
uv=$(ensure_uv)

backend=${TORCH_BACKEND:-$(cat .venv/.torch-backend 2>/dev/null || echo default)}
key=$(cat $locks/engine.txt $locks/dev.txt <(echo "$backend") | sha256sum | cut -d' ' -f1)
if ! up_to_date .venv "$key" || ! .venv/bin/python --version | grep -qF "Python ${ENGINE_PYTHON_VERSION:-3}"; then
    echo "Making the engine's environment in .venv/ (a few GB to download the first time)"
    make_engine_environment "$uv" "$backend"
    echo "$backend" >.venv/.torch-backend
    echo "$key" >.venv/.made-from
fi
key=$(cat $locks/qgis-test.txt <("$system_python" --version) | sha256sum | cut -d' ' -f1)
if ! up_to_date .venv-qgis "$key"; then
    echo "Making the plugin's test environment in .venv-qgis/"
    make_qgis_environment "$uv"
    echo "$key" >.venv-qgis/.made-from
fi
echo "Set up."
