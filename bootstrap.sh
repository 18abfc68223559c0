#!/bin/sh
# Sets this machine up: an environment with Longscribe and the recognizers that fit its devices.
#
#     ./bootstrap.sh              make or mend .venv, then say what there is (longscribe doctor)
#     ./bootstrap.sh --plan       only say what would be done
#
# Variables: PYTHON  the Python to use (3.11 or newer); otherwise it is looked for
#            VENV    where the environment is to be; .venv here if not given
#            EXTRAS  more extras to install, such as transformers,whisper-cpp
#
# On Apple silicon that is mlx, with faster-whisper for the CPU; with an NVIDIA driver
# faster-whisper with the CUDA libraries that it needs; elsewhere faster-whisper. `make`
# calls this, so the versions are those that were tested together (constraints.txt).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
venv=${VENV:-.venv}
plan=no

die() {
    echo "error: $*" >&2
    exit 1
}

for argument in "$@"; do
    case $argument in
        --plan) plan=yes ;;
        -h | --help)
            sed -n '2,/^set/{s/^# \{0,1\}//;/^set/!p;}' "$0"
            exit 0
            ;;
        *) die "there is no option $argument; see ./bootstrap.sh --help" ;;
    esac
done

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# --- which Python ---

if [ -n "${PYTHON:-}" ]; then
    command -v "$PYTHON" >/dev/null 2>&1 || die "there is no Python $PYTHON."
    if ! new_enough "$PYTHON"; then
        found=$("$PYTHON" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo none)
        die "Longscribe needs Python 3.11 or newer; $PYTHON is $found." \
            "Say which one to use: PYTHON=python3.12"
    fi
else
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11 ''; do
        [ -z "$PYTHON" ] && die "Longscribe needs Python 3.11 or newer, and there is none on the" \
            "PATH. Install one, or say where it is: PYTHON=/path/to/python3.12"
        command -v "$PYTHON" >/dev/null 2>&1 && new_enough "$PYTHON" && break
    done
fi

# --- which machine ---

system=$(uname -s)
case $system in
    Darwin | Linux) ;;
    *) die "Longscribe runs on Linux and macOS, not on $system." ;;
esac

if [ "$system" = Darwin ] && [ "$(uname -m)" = arm64 ]; then
    machine="Apple silicon"
    extras=mlx,faster-whisper
elif [ "$system" = Linux ] && nvidia-smi -L >/dev/null 2>&1; then
    machine="an NVIDIA GPU"
    extras=faster-whisper,cuda
else
    machine="no GPU that can be used"
    extras=faster-whisper
fi
extras=$extras${EXTRAS:+,$EXTRAS}

echo "Found $machine; $venv gets $extras ($("$PYTHON" --version 2>&1))."
[ "$plan" = yes ] && exit 0

# --- the environment ---

python=$venv/bin/python
# One whose Python has gone, or is too old, is made anew.
if ! [ -x "$python" ] || ! new_enough "$python"; then
    "$PYTHON" -m venv --clear "$venv" ||
        die "$PYTHON can't make an environment; on Debian and Ubuntu install python3-venv."
fi
pip() {
    "$python" -m pip --disable-pip-version-check --quiet "$@"
}
pip install --upgrade --constraint constraints.txt pip
pip install --constraint constraints.txt --editable ".[$extras]"

# What it finds missing, such as a model, stops a transcription but not this.
"$python" -P -m longscribe doctor || true
