#!/bin/sh
# Makes .venv and installs what `make run` or `make test` needs; does nothing when all of it is there.
#
#   scripts/setup.sh run    the runtime and its embedded demonstration
#   scripts/setup.sh dev    the same and the test tools; as root also the MQTT broker of the peer tests
#   scripts/setup.sh bluez  the system packages of `make test-bluez`: an emulator, a builder of Debian roots, cpio
#
# apt-get is called only as root, never through sudo. EDGE_TWIN_NO_APT=1 forbids it altogether.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
log=$venv/setup.log
candidates='python3.11 python3.12 python3.13 python3.14 python3'
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 DEBIAN_FRONTEND=noninteractive

say() { printf '%s\n' "setup: $*"; }

fail() {
    for line in "$@"; do printf '%s\n' "setup: $line" >&2; done
    exit 1
}

# --- system packages -------------------------------------------------------------------------------

may_use_apt() {
    [ "$(id -u)" = 0 ] && [ -z "${EDGE_TWIN_NO_APT:-}" ] && command -v apt-get >/dev/null 2>&1
}

# The time limit is for a machine whose package servers do not answer.
apt_install() {
    say "installing the system packages with apt-get: $*"
    {
        timeout 120 apt-get update -qq || true # a stale list may still know the package
        timeout 300 apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 "$@"
    } </dev/null >>"$log" 2>&1
}

# --- Python ----------------------------------------------------------------------------------------

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }

has_venv() { "$1" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; }

venv_package() { "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])' </dev/null; }

# Sets $python to the first interpreter that can make a virtual environment. When none can, it is the
# first one that is new enough, or empty. A name on the PATH is no proof (version managers): it is run.
find_python() {
    python=
    for name in $candidates; do
        is_new_enough "$name" || continue
        if has_venv "$name"; then
            python=$name
            return 0
        fi
        python=${python:-$name}
    done
    [ -n "$python" ] && command -v virtualenv >/dev/null 2>&1
}

install_python() {
    if [ -n "$python" ]; then
        apt_install "$(venv_package "$python")" || apt_install python3-venv || true
        return 0
    fi
    apt_install python3 python3-venv || true
    # Where the default Python is older than 3.11, a newer one may stand beside it.
    find_python || apt_install python3.11 python3.11-venv || true
}

require_python() {
    find_python && return 0
    if may_use_apt; then
        install_python
        find_python && return 0
    fi
    if [ -n "$python" ]; then
        package=$(venv_package "$python")
        fail "$python cannot make a virtual environment: its package '$package' is missing." \
            "Ask an administrator for:  apt-get install $package" \
            "Or, without administrator rights: install 'virtualenv' for your user; it will be used."
    fi
    fail "Python 3.11 or newer was not found (looked for: $candidates)." \
        "Ask an administrator for:  apt-get install python3 python3-venv" \
        "If that Python is older than 3.11:  apt-get install python3.11 python3.11-venv" \
        "Any other Python >= 3.11 on the PATH serves as well."
}

venv_works() { is_new_enough "$venv/bin/python" && "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; }

make_venv() {
    venv_works && return 0
    [ ! -d "$venv/bin" ] || say "$venv does not work (moved, or its Python is gone): making it again"
    rm -rf "$venv"
    mkdir "$venv"
    require_python
    say "making the virtual environment $venv with $python"
    if has_venv "$python"; then
        "$python" -m venv "$venv" >>"$log" 2>&1
    else
        virtualenv --quiet --python "$python" "$venv" >>"$log" 2>&1
    fi || fail_with_log "the virtual environment could not be made"
}

# --- Python packages -------------------------------------------------------------------------------

fail_with_log() {
    tail -n 12 "$log" >&2 || true
    fail "$1. The full log: $log"
}

# An editable install points to this folder, so a moved folder counts as changed.
fingerprint() { { pwd && cat pyproject.toml; } | cksum; }

is_installed() { [ "$(cat "$venv/.installed-$1" 2>/dev/null)" = "$(fingerprint)" ] && venv_works; }

install_group() {
    make_venv
    say "installing edge-twin[$1] into $venv ($2); progress in $log"
    "$venv/bin/python" -m pip install --editable ".[$1]" </dev/null >>"$log" 2>&1 ||
        fail_with_log "pip could not install edge-twin[$1] (a first installation needs the network)"
}

mark_installed() { for group in "$@"; do fingerprint >"$venv/.installed-$group"; done; }

# --- the broker of the peer tests ------------------------------------------------------------------

has_broker() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v mosquitto >/dev/null 2>&1; }

# Optional: a failure is told and remembered, and never stops the tests.
offer_broker() {
    ! has_broker || return 0
    if may_use_apt && [ ! -e "$venv/.broker-tried" ]; then
        : >"$venv/.broker-tried"
        ! apt_install mosquitto || return 0
    fi
    say "no mosquitto (MQTT broker): the tests against it are skipped. An administrator can: apt-get install mosquitto"
}

# --- the virtual machine of test-bluez -------------------------------------------------------------

# Sets $missing to the packages whose tools are not there.
find_missing() {
    missing=
    for pair in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap cpio:cpio; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
}

require_machine() {
    find_missing
    [ -n "$missing" ] || return 0
    mkdir -p "$venv" # for the log
    # shellcheck disable=SC2086 # a list of packages
    ! may_use_apt || apt_install $missing || true
    find_missing
    [ -z "$missing" ] || fail "test-bluez needs system packages that are missing. An administrator can:" \
        "apt-get install$missing"
}

case "${1:-}" in
run)
    is_installed run || {
        install_group demo "the runtime and its demonstration"
        mark_installed run
    }
    ;;
dev)
    is_installed dev || {
        install_group dev "the runtime, its demonstration and the test tools"
        mark_installed run dev
    }
    offer_broker
    ;;
bluez)
    require_machine
    ;;
*)
    fail "usage: scripts/setup.sh run|dev|bluez"
    ;;
esac
