# Form, lint, types, floors.
set -eu
ruff format --check --quiet . || { echo "hint: make format" >&2; exit 1; }
ruff check --quiet .
mypy
lint-imports --no-logo 2>/dev/null || lint-imports
