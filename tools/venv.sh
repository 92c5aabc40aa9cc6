# Makes .venv and installs into it: `core` or `all`. Does nothing where the same files were installed before.
set -eu
what=$1
extras=""
[ "$what" = all ] && extras="[all]"
PYTHON=${PYTHON:-python3}
"$PYTHON" - <<'P' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
P
# A venv knows its own path: one that was moved is made anew.
if [ -x .venv/bin/python ] && [ "$(.venv/bin/python -c 'import sys; print(sys.prefix)' 2>/dev/null)" != "$PWD/.venv" ]; then
  rm -rf .venv
fi
if [ ! -x .venv/bin/python ]; then
  rm -rf .venv
  "$PYTHON" -m venv .venv
fi
stamp=$(cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)
for done in "$what" all; do
  [ -f ".venv/.installed-$done-$stamp" ] && exit 0
done
echo "installing $what into .venv …" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".$extras"
rm -f .venv/.installed-"$what"-*
: > ".venv/.installed-$what-$stamp"
