# Sourced by other scripts: finds or installs the pinned uv.

export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}" # companies' networks have certificates of their own
export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-600}" # torch's wheels are large, lines are slow

# Print the path of uv at exactly the pinned version, installing it into .tools/ where needed.
ensure_uv() {
    local pin tools=.tools/uv
    pin=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' resources/requirements/uv.txt)
    if [ ! -x "$tools/bin/uv" ] || [ "$("$tools/bin/uv" --version | cut -d' ' -f2)" != "$pin" ]; then
        rm -rf "$tools"
        /usr/bin/python3 -m venv "$tools" >&2
        retry "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
            -r resources/requirements/uv.txt >&2
    fi
    echo "$PWD/$tools/bin/uv"
}

# Run a command up to three times: downloads over slow lines break off.
retry() {
    local attempt
    for attempt in 1 2 3; do
        "$@" && return 0
        echo "Attempt $attempt failed: $1 ${2:-} ${3:-}" >&2
        sleep $((attempt * 5))
    done
    return 1
}
