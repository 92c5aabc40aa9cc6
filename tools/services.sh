# Installs what the tests talk to, where this may be done: a browser, Slurm, PostgreSQL, an SNMP agent, sshd (root on Debian or Ubuntu), an EVM node (npm).
# Elsewhere the tests that need them are skipped by name and counted aloud.
set -eu
missing=""
PATH="$PATH:/usr/sbin:/sbin"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v snmpd >/dev/null 2>&1 || missing="$missing snmpd"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
command -v sshd >/dev/null 2>&1 || missing="$missing openssh-server openssh-client"
command -v rsync >/dev/null 2>&1 || missing="$missing rsync"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
for need in slurmctld slurmd slurmdbd slurmrestd munged mariadbd; do
  command -v "$need" >/dev/null 2>&1 && continue
  missing="$missing slurm-wlm slurmctld slurmd slurmdbd slurmrestd slurm-client slurm-wlm-basic-plugins slurm-wlm-plugins"
  missing="$missing slurm-wlm-mysql-plugin slurm-wlm-jwt-plugin munge mariadb-server"
  break
done
if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing …" >&2
    apt-get -qq update
    # The tests start their own daemons: the packages' are not started (that is what this run level means to Debian).
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
  else
    echo "not installed:$missing (tests that need them will be skipped by name)" >&2
  fi
fi
# Where sshd leaves its rights behind; its own service would make it.
if [ "$(id -u)" = 0 ]; then install -d -m 755 /run/sshd; fi
# The package's own binary is enough; its post-install script is neither needed nor run.
if [ ! -x .bench/anvil/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil ] && ! command -v anvil >/dev/null 2>&1; then
  if command -v npm >/dev/null 2>&1; then
    echo "installing anvil …" >&2
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix .bench/anvil @foundry-rs/anvil@1.7.1
  else
    echo "not installed: anvil (needs npm; tests that need it will be skipped by name)" >&2
  fi
fi
