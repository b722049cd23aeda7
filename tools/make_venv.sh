#!/bin/sh
# Make a virtual environment: make_venv.sh FOLDER [PYTHON]
# Takes the first Python of at least 3.11 on the path, or the one given, and says what is missing where there is none.
# The file .made inside marks a complete environment; an incomplete one is made anew.
set -eu
folder=$1
shift

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in "${@:-python3}" python3.14 python3.13 python3.12 python3.11 python; do
    if is_new_enough "$candidate"; then
        python=$candidate
        break
    fi
    if [ $# -gt 0 ]; then
        echo "$candidate is not a Python of at least 3.11; name another one: make PYTHON=/path/to/python3.12" >&2
        exit 1
    fi
done
if [ -z "$python" ]; then
    echo "Aureus needs Python 3.11 or newer, and there is none on the path." >&2
    echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$python cannot make virtual environments: its module ensurepip is missing." >&2
    echo "Install it (on Debian and Ubuntu: apt-get install python3-venv), then repeat the command." >&2
    exit 1
fi

echo "making $folder with $("$python" --version)"
rm -rf "$folder"
trap 'rm -rf "$folder"' INT TERM HUP
if ! "$python" -m venv "$folder"; then
    rm -rf "$folder"
    exit 1
fi
touch "$folder/.made"
