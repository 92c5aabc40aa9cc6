# Installs what the tests talk to, where this may be done: root on Debian or Ubuntu. Elsewhere those tests say what is missing.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing$missing …" >&2
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
  echo "not installed:$missing (tests that need them will be skipped by name)" >&2
fi
