#!/usr/bin/env bash
# Build the documentation into site/, in an environment of its own: .venv-docs/, from a lock with hashes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv.sh
uv=$(ensure_uv)
lock=resources/requirements/docs.txt
python=/usr/bin/python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || python=3.12

key=$(cat "$lock" <("$python" --version 2>/dev/null || echo "$python") | sha256sum | cut -d' ' -f1)
if [ ! -x .venv-docs/bin/mkdocs ] || [ "$(cat .venv-docs/.made-from 2>/dev/null)" != "$key" ]; then
    echo "Making the documentation's environment in .venv-docs/"
    "$uv" venv --quiet --clear --python "$python" .venv-docs
    retry "$uv" pip install --quiet --python .venv-docs/bin/python --require-hashes -r "$lock"
    echo "$key" >.venv-docs/.made-from
fi
NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict --clean
echo "Documentation: site/index.html"
