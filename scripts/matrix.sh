#!/usr/bin/env bash
# Run the plugin's and the end-to-end tests on the QGIS of other Debian releases, each installed into a folder of its
# own below build/matrix/, and take the documentation's pictures there, for a person to look at. What is tested is the
# last commit, set up as on any machine of that release.
#
# RELEASES="trixie sid"                  Debian releases: QGIS 3.40 and 3.44; bookworm has 3.22.
# TIERS="plugin end_to_end pictures"     folders below tests/; pictures go to build/matrix/RELEASE-pictures.
# FLAIR_TEST_PATIENCE=3                  everything may take three times as long, on a machine with other work to do.
# FLAIR_TEST_FOLDER=FOLDER               scene and model of the end-to-end tests stay there for the next run.
set -uo pipefail
cd "$(dirname "$0")/.."
releases=${RELEASES:-trixie sid}
tiers=${TIERS:-plugin end_to_end pictures}
workers=${1:-2}
packages=ca-certificates,git,procps,python3-venv,qgis,python3-qgis,qgis-providers,xauth,xvfb
matrix=$PWD/build/matrix
kept=${FLAIR_TEST_FOLDER:-}
# Certificates, and how this machine reaches package indexes and the network, hold inside as well.
passed_on=$(env | cut -d= -f1 | grep -E \
    '^(FLAIR_TEST_(FOLDER|PATIENCE)|OMP_NUM_THREADS|PIP_|UV_|SSL_CERT_|REQUESTS_CA_|(https?|no|HTTPS?|NO)_(proxy|PROXY)$)' |
    tr '\n' ' ')

if [ "$(id -u)" -ne 0 ]; then
    echo "Installing a Debian into a folder needs the administrator's rights: sudo make test-matrix" >&2
    exit 1
fi
if ! command -v mmdebstrap >/dev/null; then
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mmdebstrap || exit 1
fi

# The mirror that this machine itself installs from, or mmdebstrap's own.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/\?$'
}

install_release() { # release, folder
    [ -f "$2/.installed" ] && [ "$(cat "$2/.installed")" = "$packages" ] && return 0
    echo "== Installing Debian $1 with its QGIS"
    rm -rf "$2" "$2.part"
    # A mirror that lags behind has lists of sid that have run out; their signatures are checked all the same.
    # shellcheck disable=SC2046 # no mirror is no argument
    mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Check-Valid-Until "false"' \
        "$1" "$2.part" $(mirror) || return 1
    echo "$packages" >"$2.part/.installed"
    mv "$2.part" "$2"
}

copy_commit() { # folder
    if [ -d "$1/flair/.git" ]; then
        git -C "$1/flair" fetch --quiet "file://$PWD" HEAD && git -C "$1/flair" reset --quiet --hard FETCH_HEAD
    else
        git clone --quiet "file://$PWD" "$1/flair"
    fi
}

inside() { # folder, command: runs it there, in mounts of its own that end with it
    local file name folder=$1
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf ~/.config/pip/pip.conf ~/.config/uv/uv.toml; do
        [ -f "$file" ] && mkdir -p "$folder$(dirname "$file")" && cp -L "$file" "$folder$file"
    done
    cp -L /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
    # under their own names, since a mosaic of the tests names its tiles by whole paths
    local shared=("$matrix/demo:/flair/demo")
    [ -n "$kept" ] && shared+=("$kept:$kept")
    for name in "${shared[@]}"; do mkdir -p "${name%%:*}" "$folder${name#*:}"; done
    local variables=()
    for name in $passed_on; do variables+=("$name=${!name}"); done
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount bash -c '
        folder=$0 shared=$1 command=$2
        mount --rbind /proc "$folder/proc" && mount --rbind /dev "$folder/dev" || exit 1
        for pair in $shared; do mount --bind "${pair%%:*}" "$folder${pair#*:}" || exit 1; done
        exec env -i HOME="$HOME" PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 QT_QPA_PLATFORM=offscreen "${@:3}" \
            chroot "$folder" bash -c "cd /flair && $command"
    ' "$folder" "${shared[*]}" "$2" "${variables[@]}"
}

versions() { # folder: of QGIS, Qt, QGIS's Python and the engine's
    inside "$1" ".venv-qgis/bin/python -c 'import platform; from qgis.core import Qgis; from qgis.PyQt.QtCore import qVersion
print(Qgis.QGIS_VERSION.partition(\"-\")[0], qVersion(), platform.python_version())' && .venv/bin/python --version" |
        sed 's/^Python //' | tr '\n' ' '
}

row() { # release, QGIS, Python, Qt, tier, passed, failed, skipped, seconds
    table+="$(printf '%-9s %-8s %-8s %-8s %-11s %6s %6s %7s %7s' "$@")"$'\n'
}

counted() { # results as XML, attribute
    grep -o " $2=\"[0-9]*" "$1" | head -1 | cut -d'"' -f2
}

run_tests() { # release, folder, tier, QGIS, Qt, Python
    local python=.venv/bin/python code results=$2/flair/build/$3.xml
    [ "$3" = plugin ] && python=.venv-qgis/bin/python
    rm -f "$results"
    inside "$2" "$python -m pytest -n $workers --dist worksteal --junitxml=build/$3.xml tests/$3" 2>&1 | tee "$matrix/$1-$3.log"
    code=${PIPESTATUS[0]}
    if [ ! -f "$results" ]; then
        row "$1" "$4" "$6" "$5" "$3" - "broken" - $SECONDS
        return 1
    fi
    local all failed skipped
    all=$(counted "$results" tests) skipped=$(counted "$results" skipped)
    failed=$(($(counted "$results" failures) + $(counted "$results" errors)))
    row "$1" "$4" "$6" "$5" "$3" $((all - failed - skipped)) $failed "$skipped" $SECONDS
    return $((code != 0 || failed != 0))
}

take_pictures() { # release, folder, tier, QGIS, Qt, Python
    local code
    # Its training takes minutes: made by the first QGIS, it serves all.
    [ -f "$matrix/demo/model.safetensors" ] || inside "$2" ".venv/bin/python -m scripts.demo" || return 1
    rm -rf "$2/flair/build/pictures" "$matrix/$1-pictures"
    inside "$2" ".venv/bin/python -m scripts.docs_pictures --folder build/pictures" 2>&1 | tee "$matrix/$1-$3.log"
    code=${PIPESTATUS[0]}
    [ -d "$2/flair/build/pictures" ] && cp -r "$2/flair/build/pictures" "$matrix/$1-pictures"
    row "$1" "$4" "$6" "$5" "$3" "$(find "$matrix/$1-pictures" -type f 2>/dev/null | wc -l)" $((code != 0)) 0 $SECONDS
    return "$code"
}

status=0
table=
row Debian QGIS Python Qt tests passed failed skipped seconds
for release in $releases; do
    folder=$matrix/$release
    mkdir -p "$matrix"
    if ! install_release "$release" "$folder" || ! copy_commit "$folder" || ! inside "$folder" "scripts/setup.sh"; then
        row "$release" - - - set-up - broken - -
        status=1
        continue
    fi
    read -r qgis qt python engine_python < <(versions "$folder")
    for tier in $tiers; do
        echo "== Debian $release, QGIS $qgis, Qt $qt, Python $python, the engine's $engine_python: $tier"
        run=run_tests
        [ "$tier" = pictures ] && run=take_pictures
        SECONDS=0
        $run "$release" "$folder" "$tier" "$qgis" "$qt" "$python" || status=1
    done
done
printf '\n%s' "$table"
[ $status -eq 0 ] || echo "Something failed; build/matrix/*.log have it all."
exit $status
