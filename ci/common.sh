# shellcheck shell=bash
# Sourced by the scripts beside it: where the project is, which Python is meant, and a scratch folder that goes away.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-$(command -v python || command -v python3)}" # the active environment's, unless PYTHON names another
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
export PYTHONUTF8=1 PIP_DISABLE_PIP_VERSION_CHECK=1
cd "$root"

say() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# need MODULE EXTRA: stop with the remedy where the module cannot be imported.
need() {
  (cd "$scratch" && "$python" -c "import importlib.util as i, sys; sys.exit(i.find_spec('$1') is None)") ||
    fail "$python has no $1. Run: $python -m pip install -e \".[$2]\""
}

# environment NAME: a new virtual environment in the scratch folder, which $python means from then on.
environment() {
  # Debian's Python may come without ensurepip, and hosted notebooks do: virtualenv brings its own
  "$python" -m venv "$scratch/$1" 2>/dev/null || "$python" -m virtualenv --quiet "$scratch/$1" ||
    fail "$python makes no virtual environments. Run: $python -m pip install virtualenv"
  if [ -d "$scratch/$1/Scripts" ]; then python="$scratch/$1/Scripts/python"; else python="$scratch/$1/bin/python"; fi
}
