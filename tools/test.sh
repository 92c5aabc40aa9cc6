# Every test, two at a time. Up to five that failed are tried once more, alone and in full sight: that a machine was too
# busy is no fault of the code. What fails twice is; and what needed its second try is named, to be made steady.
set -u
failed="$(mktemp)"
trap 'rm -f "$failed"' EXIT
HELIO_FAILED="$failed" .venv/bin/python -m pytest -n 2 --dist loadgroup && exit 0
code=$?
count="$(wc -l <"$failed")"
if [ "$code" != 1 ] || [ "$count" -lt 1 ] || [ "$count" -gt 5 ]; then exit "$code"; fi
.venv/bin/python -m pytest -n 0 -v "@$failed" || exit "$?"
echo "unsteady, passed when tried again alone:"
cat "$failed"
