"""Two real Slurm clusters on this machine: north (three nodes) and south (two), with accounting, REST and node meters.

Everything listens on loopback, on ports that were free, under one folder; whatever was started is ended by its pid.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEEDS = (
    "setpriv",
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "slurmrestd",
    "sbatch",
    "munged",
    "mariadbd",
    "mariadb-install-db",
    "unshare",
)
SITES = {"north": (3, "h100"), "south": (2, "a100")}
GPUS = 4
WATTS = 350
# Whatever becomes of the tests, even a kill -9, no daemon of theirs outlives them.
WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
METER = Path(__file__).with_name("nodemeter.py")


def missing() -> str:
    """Why it cannot run here; nothing where it can."""
    absent = [name for name in NEEDS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"Slurm is not whole here: no {', '.join(absent)} (tools/services.sh installs it where it may)"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root here"


_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


class SlurmService:
    """`options(site)` is what a fleet file says to reach that site."""

    def __init__(self) -> None:
        # Sockets may have 107 characters: never under a deep folder of pytest's.
        self.folder = Path(tempfile.mkdtemp(prefix="helio-slurm-"))
        self.folder.chmod(0o755)
        self.host = socket.gethostname().partition(".")[0]
        self.ports = free_ports(6 + sum(count for count, _ in SITES.values()))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.rest = ""
        self.token_file = self.folder / "token"

    def options(self, site: str) -> dict[str, str]:
        return {"config": str(self.conf(site))}

    def rest_options(self) -> dict[str, str]:
        """North, by its REST daemon alone."""
        return {"rest": self.rest, "token_file": str(self.token_file)}

    def conf(self, site: str) -> Path:
        return self.folder / site / "slurm.conf"

    def ask(self, site: str, *words: str) -> str:
        """What one of Slurm's own commands answers."""
        environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(self.conf(site))}
        return subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout

    def set_watts(self, node: str, watts: float) -> None:
        """What the meter of a node draws from now on."""
        (self.folder / "meters" / node / "watts").write_text(f"{watts}")

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        database = self._database()
        self._munge()
        nodes = [f"{site}{i + 1}" for site, (count, _) in SITES.items() for i in range(count)]
        for node in nodes:
            # Slurm reads the meter of the one socket that this machine shows it.
            (self.folder / "meters" / node / "0").mkdir(parents=True)
            self.set_watts(node, WATTS)
        self._run("nodemeter", sys.executable, str(METER), str(self.folder / "meters"))
        self._configure()
        database()
        self._accounting()
        for site in SITES:
            self._run(f"slurmctld-{site}", "slurmctld", "-D", "-f", str(self.conf(site)))
        for node in nodes:
            self.start_node(node)
        for site, (count, _) in SITES.items():
            self._until(
                lambda s=site, n=count: self.ask(s, "sinfo", "-h", "-N", "-t", "idle", "-p", "flex").count("\n") == n
            )
        self._rest()

    def start_node(self, node: str) -> None:
        """In a mount namespace of its own, where `/dev/cpu` is its own meter."""
        own = f"mount --make-rprivate / && mkdir -p /dev/cpu && mount --bind {self.folder}/meters/{node} /dev/cpu"
        self._run(node, "unshare", "-m", "bash", "-c", f"{own} && exec slurmd -D -f {self.conf(node[:-1])} -N {node}")

    def kill(self, name: str) -> None:
        """A daemon dies without a word."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def start_controller(self, site: str) -> None:
        self._run(f"slurmctld-{site}", "slurmctld", "-D", "-f", str(self.conf(site)))
        self._until(lambda: "UP" in self.ask(site, "scontrol", "ping"))

    def write_down(self, site: str, job: str) -> None:
        """What its controller knows of a job is on disk: it writes every few seconds, what changed."""
        asked_s = time.time()
        self.ask(site, "scontrol", "update", f"JobId={job}", "Comment=written")
        self._until(lambda: (self.folder / site / "state" / "job_state").stat().st_mtime > asked_s)

    @contextmanager
    def amnesia(self, site: str) -> Iterator[None]:
        """Afterwards its controller was killed, and knows only what it had written down before."""
        state, kept = self.folder / site / "state", self.folder / site / "kept"
        shutil.copytree(state, kept, dirs_exist_ok=True)
        yield
        self.kill(f"slurmctld-{site}")
        shutil.rmtree(state)
        kept.rename(state)
        self.start_controller(site)

    def let_work(self, site: str) -> None:
        """Nodes that Slurm has drained are given back, and answer."""
        count, _ = SITES[site]
        self._until(
            lambda: (
                self.ask(site, "sinfo", "-h", "-N", "-p", "flex", "-t", "drain,drng") == ""
                or self.ask(site, "scontrol", "update", f"nodename={site}[1-{count}]", "state=resume") != ""
            )
        )
        self._until(lambda: self.ask(site, "sinfo", "-h", "-N", "-t", "idle", "-p", "flex").count("\n") == count)

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Parts

    def _run(self, name: str, *words: str, environment: dict[str, str] | None = None) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            (*WITH_US, *words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PATH": _PATH, **(environment or {})},
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        self.daemons[name] = process

    def _until(self, holds, within_s: float = 120.0) -> None:
        deadline = time.monotonic() + within_s
        while True:
            try:
                if holds():
                    return
            except subprocess.CalledProcessError as error:
                trouble = error.stderr
            else:
                trouble = ""
            if time.monotonic() > deadline:
                logs = "".join(f"\n== {p.name}\n{p.read_text()[-800:]}" for p in self.folder.glob("*.log"))
                raise TimeoutError(f"Slurm did not come up: {trouble}{logs}")
            time.sleep(0.1)

    def _munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        parts = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        words = [f"--{'socket' if n == 'socket' else n + '-file'}={path}" for n, path in parts.items()]
        self._run("munged", "munged", "--foreground", "--force", f"--key-file={key}", *words)
        self._until(parts["socket"].exists)

    def _database(self):
        """Begins it; what is returned waits until it answers."""
        home = self.folder / "db"
        sock = home / "socket"
        home.mkdir()
        shutil.chown(home, "mysql", "mysql")
        subprocess.run(
            (
                "mariadb-install-db",
                "--no-defaults",
                "--user=mysql",
                f"--datadir={home}",
                "--skip-test-db",
                "--skip-name-resolve",
            ),
            check=True,
            capture_output=True,
        )
        self._run(
            "mariadbd",
            # Became mysql before it is told with whom to die: a process that changes its user forgets that.
            *(*WITH_US[:-1], "--reuid=mysql", "--regid=mysql", "--clear-groups", "--", "mariadbd"),
            "--no-defaults",
            f"--datadir={home}",
            f"--socket={sock}",
            f"--pid-file={home}/pid",
            f"--port={self.ports[0]}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=64M",
            "--innodb-lock-wait-timeout=900",
            "--innodb-flush-log-at-trx-commit=0",
        )

        def ready() -> None:
            self._until(sock.exists)
            script = (
                "create database slurm_acct; create user slurm@'127.0.0.1' identified by 'slurm'; "
                "grant all on slurm_acct.* to slurm@'127.0.0.1'; create user slurm@localhost identified by 'slurm'; "
                "grant all on slurm_acct.* to slurm@localhost"
            )
            client = ("mariadb", "--no-defaults", f"--socket={sock}", "-e", script)
            self._until(lambda: subprocess.run(client, check=True, capture_output=True) is not None)

        return ready

    def _configure(self) -> None:
        key = self.folder / "jwt.key"
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        auth = f"AuthType=auth/munge\nAuthInfo=socket={self.folder}/munge.socket,cred_expire=5\n"
        auth += f"AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={key}\n"
        (self.folder / "dbd").mkdir()
        dbd = self.folder / "dbd" / "slurmdbd.conf"
        dbd.write_text(
            f"{auth}DbdHost={self.host}\nDbdAddr=127.0.0.1\nDbdPort={self.ports[1]}\nSlurmUser=root\n"
            f"PidFile={self.folder}/dbd/pid\nStorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
            f"StoragePort={self.ports[0]}\nStorageUser=slurm\nStoragePass=slurm\nStorageLoc=slurm_acct\n"
        )
        dbd.chmod(0o600)
        ports = iter(self.ports[3:])
        for site, (count, gpu) in SITES.items():
            home = self.folder / site
            (home / "state").mkdir(parents=True)
            (home / "spool").mkdir()
            for i in range(GPUS):
                os.mknod(home / f"gpu{i}", 0o666 | 0o020000, os.makedev(1, 3))
            nodes = "".join(
                f"NodeName={site}{i + 1} NodeHostname={self.host} NodeAddr=127.0.0.1 Port={next(ports)} Sockets=2 "
                f"CoresPerSocket=8 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:{gpu}:{GPUS} Feature={gpu},{site}\n"
                for i in range(count)
            )
            controller = next(ports)
            self.conf(site).write_text(
                f"ClusterName={site}\nSlurmctldHost={self.host}(127.0.0.1)\nSlurmctldPort={controller}\n{auth}"
                + _COMMON.format(home=home, dbd=self.ports[1], gpu=gpu, munge=self.folder / "munge.socket")
                + nodes
            )
            (home / "gres.conf").write_text(
                f"NodeName={site}[1-{count}] Name=gpu Type={gpu} File={home}/gpu[0-{GPUS - 1}]\n"
            )
            (home / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def _accounting(self) -> None:
        self._run("slurmdbd", "slurmdbd", "-D", environment={"SLURM_CONF": str(self.folder / "dbd" / "slurmdbd.conf")})
        self._until(lambda: self.ask("north", "sacctmgr", "-i", "add", "cluster", *SITES) != "")
        self.ask("north", "sacctmgr", "-i", "add", "account", "climate", "Cluster=north,south")
        self.ask("north", "sacctmgr", "-i", "add", "user", "root", "account=climate", "Cluster=north,south")

    def _rest(self) -> None:
        self.rest = f"http://127.0.0.1:{self.ports[2]}"
        self._run(
            "slurmrestd",
            "slurmrestd",
            "-a",
            "rest_auth/jwt",
            "-s",
            "openapi/v0.0.38,openapi/dbv0.0.38",
            self.rest.removeprefix("http://"),
            environment={
                "SLURM_CONF": str(self.conf("north")),
                "SLURMRESTD_SECURITY": "disable_user_check",
                "SLURM_JWT": "daemon",
            },
        )
        self.token_file.write_text(self.token("north"))
        port = self.ports[2]
        self._until(
            lambda: subprocess.run(("bash", "-c", f"true < /dev/tcp/127.0.0.1/{port}"), check=True, capture_output=True)
        )

    def token(self, site: str) -> str:
        return self.ask(site, "scontrol", "token", "lifespan=3600").strip().partition("=")[2]


_COMMON = """\
SlurmUser=root
SlurmdUser=root
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool/%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/%n.pid
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1,energy=1
AcctGatherEnergyType=acct_gather_energy/rapl
AcctGatherNodeFreq=1
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=2,sched_min_interval=200000,requeue_setup_env_fail
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={munge}
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu,gres/gpu:{gpu},energy
AccountingStoreFlags=job_comment
GresTypes=gpu
Licenses=watts:4000
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=60
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=60
PartitionName=flex Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""


def free_ports(count: int) -> list[int]:
    """All held at once, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
