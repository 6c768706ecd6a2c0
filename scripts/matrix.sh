#!/usr/bin/env bash
# Run the plugin's and the end-to-end tests on the QGIS of other Debian releases, each installed into a folder of its
# own below build/matrix/. What is tested is the last commit, set up as on any machine of that release.
#
# RELEASES="trixie sid"         Debian releases: QGIS 3.40 and 3.44.
# TIERS="plugin end_to_end"     folders below tests/.
set -uo pipefail
cd "$(dirname "$0")/.."
releases=${RELEASES:-trixie sid}
tiers=${TIERS:-plugin end_to_end}
workers=${1:-2}
packages=ca-certificates,git,procps,python3-venv,qgis,python3-qgis,qgis-providers,xauth,xvfb
# Certificates, and how this machine reaches package indexes and the network, hold inside as well.
passed_on=$(env | cut -d= -f1 | grep -E '^(PIP_|UV_|SSL_CERT_|REQUESTS_CA_|(https?|no|HTTPS?|NO)_(proxy|PROXY)$)' | tr '\n' ' ')

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
    local variables=()
    for name in $passed_on; do variables+=("$name=${!name}"); done
    # shellcheck disable=SC2016 # expanded inside
    unshare --mount bash -c '
        mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" || exit 1
        exec env -i HOME="$HOME" PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 QT_QPA_PLATFORM=offscreen "${@:2}" \
            chroot "$0" bash -c "cd /flair && $1"
    ' "$folder" "$2" "${variables[@]}"
}

status=0
summary=()
for release in $releases; do
    folder=$PWD/build/matrix/$release
    mkdir -p build/matrix
    if ! install_release "$release" "$folder" || ! copy_commit "$folder" || ! inside "$folder" "scripts/setup.sh"; then
        summary+=("$release: could not be set up")
        status=1
        continue
    fi
    version=$(inside "$folder" "dpkg-query -W -f='\${Version}' qgis" | cut -d+ -f1)
    for tier in $tiers; do
        python=.venv/bin/python
        [ "$tier" = plugin ] && python=.venv-qgis/bin/python
        echo "== Debian $release, QGIS $version: $tier"
        inside "$folder" "$python -m pytest -n $workers tests/$tier" 2>&1 | tee "build/matrix/$release-$tier.log"
        code=${PIPESTATUS[0]}
        [ "$code" -eq 0 ] || status=1
        summary+=("$release, QGIS $version, $tier: $(tail -1 "build/matrix/$release-$tier.log" | tr -d =)")
    done
done
printf '%s\n' "== Summary" "${summary[@]}"
exit $status
