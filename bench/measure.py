"""How light, how sure and how honest the meter is, beside CodeCarbon and Zeus. `python bench/measure.py [--quick] [--json]`"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from table import Row, run

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PEERS = ROOT / ".bench" / "measure"
QUIET = "import logging; logging.disable(logging.CRITICAL)\n"
CODECARBON = QUIET + (
    "from codecarbon import OfflineEmissionsTracker\n"
    "t = OfflineEmissionsTracker(country_iso_code='DEU', measure_power_secs={s}, save_to_file={save},"
    " output_dir='{out}', allow_multiple_runs=True)\nt.start()\n"
)
HELIO = "from heliotrope import measure\nt = measure.start('bench', interval_s={s})\n"
HELIO_KEPT = "from heliotrope import measure\nt = measure.start('bench', interval_s={s}, journal={journal!r})\n"
ZEUS = QUIET + "from zeus.monitor import ZeusMonitor\nt = ZeusMonitor(gpu_indices=[])\nt.begin_window('x')\n"
TELL = (
    "import json, time, re\nc = time.process_time()\n"
    "print(json.dumps([c, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024]))\n"
)
NAMES = [
    "AMD EPYC 7601 32-Core Processor",
    "AMD EPYC 7571",
    "AMD EPYC 7742 64-Core Processor",
    "AMD EPYC 7R32",
    "AMD EPYC 7B12",
    "AMD EPYC 7763 64-Core Processor",
    "AMD EPYC 7R13 Processor",
    "AMD EPYC 7B13",
    "AMD EPYC 9654 96-Core Processor",
    "AMD EPYC 9R14",
    "AMD EPYC 9965 192-Core Processor",
    "AMD EPYC",
    "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz",
    "Intel(R) Xeon(R) Platinum 8124M CPU @ 3.00GHz",
    "Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz",
    "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz",
    "Intel(R) Xeon(R) Platinum 8272CL CPU @ 2.60GHz",
    "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
    "Intel(R) Xeon(R) Platinum 8488C",
    "Intel(R) Xeon(R) CPU @ 2.20GHz",
    "AWS Graviton2",
    "AWS Graviton3",
    "Ampere(R) Altra(R) Processor",
    "Azure Cobalt 100",
    "Google Axion",
]


def rows(quick: bool) -> Iterator[Row]:
    peers = None if quick and not (PEERS / "bin" / "python").exists() else _peers()
    with tempfile.TemporaryDirectory() as folder:
        yield from _start(peers, 3 if quick else 9)
        yield from _steady(peers, folder, 12 if quick else 60)
        yield from _kills(peers, folder, 8 if quick else 200)
        yield _conserved(20 if quick else 200, folder)
        yield _neighbour(peers, folder, 1.0 if quick else 6.0)
        yield _names(peers)
        yield _sockets(folder)
        yield _faults()


def _peers() -> str:
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", "codecarbon==3.3.2", "zeus==0.16.0"], check=True
        )
    return str(python)


def _told(python: str, code: str) -> list[float]:
    done = subprocess.run([python, "-c", code + TELL], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _over_bare(python: str, code: str, repeats: int) -> tuple[float, float]:
    """CPU-s and MB over the same Python doing nothing: least of the repeats, since load only ever adds."""
    pairs = [(_told(python, code), _told(python, "")) for _ in range(repeats)]
    return tuple(min(done[i] for done, _ in pairs) - min(bare[i] for _, bare in pairs) for i in range(2))


def _start(peers: str | None, repeats: int) -> Iterator[Row]:
    cpu_s, mb = _over_bare(sys.executable, HELIO.format(s=1), repeats)
    theirs = peers and _over_bare(peers, CODECARBON.format(s=15, save=False, out="."), max(1, repeats // 3))
    zeus = peers and _over_bare(peers, ZEUS, max(1, repeats // 3))
    how = f"import and start, over bare Python, least of {repeats}"
    yield Row("started", cpu_s, "CPU-s", "<= 0.08", "CodeCarbon", theirs and theirs[0], how)
    yield Row("started: Zeus beside it", cpu_s, "CPU-s", "", "Zeus", zeus and zeus[0], how)
    yield Row("memory", mb, "MB", "<= 25", "CodeCarbon", theirs and theirs[1], how)
    yield Row("memory: Zeus beside it", mb, "MB", "", "Zeus", zeus and zeus[1], how)


def _steady(peers: str | None, folder: str, seconds: int) -> Iterator[Row]:
    """All at the same time, each in a process that sleeps: what each of them adds to nothing."""
    wait = f"import time; b = time.process_time(); time.sleep({seconds})\nprint(time.process_time() - b)\n"
    path = str(Path(folder) / "steady.jsonl")
    asked = [(sys.executable, HELIO.format(s=0.1)), (sys.executable, HELIO_KEPT.format(s=0.1, journal=path))]
    if peers:
        asked.append((peers, CODECARBON.format(s=1, save=False, out=folder)))
    sleepers = [
        subprocess.Popen([python, "-c", code + wait], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for python, code in asked
    ]
    ours, kept, *theirs = [float(one.communicate()[0].splitlines()[-1]) * 60 / seconds for one in sleepers]
    how = f"CPU-s of a process that sleeps for {seconds} s" + ("" if seconds == 60 else ", to the minute")
    codecarbon = theirs[0] if theirs else None
    yield Row("sampling at 10 Hz for a minute", ours, "CPU-s", "<= 0.1", "CodeCarbon at 1 Hz", codecarbon, how)
    yield Row("the same, every sample kept in a journal", kept, "CPU-s", "<= 0.1", "", None, how)


def _kills(peers: str | None, folder: str, times: int) -> Iterator[Row]:
    """SIGKILL at a random moment: how many intervals before it are missing, how many samples are there twice."""
    from heliotrope.measure.records.recovery import recover

    interval_s = 0.1
    random.seed(1)
    lost, twice = [], 0
    for i in range(times):
        path = Path(folder) / f"{i}.jsonl"
        code = (
            f"import time\nfrom pathlib import Path\nfrom heliotrope import measure\n"
            f"measure.start('k', interval_s={interval_s}, journal=Path({str(path)!r}))\nprint('up', flush=True)\n"
            "while True: time.sleep(1)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(random.uniform(0.2, 0.8))
        killed_s = time.time()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        recovered_until_s = recover(path).end_s
        entries = [json.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
        ends_s = [entry["end_s"] for entry in entries if "end_s" in entry]
        twice += len(ends_s) - len(set(ends_s))
        lost.append((killed_s - recovered_until_s) / interval_s)
    theirs = None
    if peers:
        out = Path(folder) / "codecarbon"
        out.mkdir()
        child = subprocess.Popen(
            [peers, "-c", CODECARBON.format(s=1, save=True, out=out) + "print('up', flush=True)\nimport time; time.sleep(60)"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        child.stdout.readline()
        time.sleep(3)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        theirs = 0.0 if list(out.glob("*.csv")) else 100.0
    how = f"{times} random SIGKILLs at {interval_s} s; the samples that a late thread still owed are counted as lost"
    yield Row(
        "lost to a SIGKILL, median", statistics.median(lost), "intervals", "<= 1", "CodeCarbon, % lost", theirs, how
    )
    yield Row(
        "lost to a SIGKILL, worst",
        max(lost),
        "intervals",
        "<= 1",
        how="of all of them",
    )
    yield Row("samples that are there twice", twice, "", "= 0", how=how)


def _conserved(steps: int, folder: str) -> Row:
    """Fifty processes, each measured alone, on a fake RAPL: parts and named idle against the node's counters."""
    from fakemachine import FakeMachine
    from heliotrope.measure.share.node import Node

    random.seed(2)
    machine = FakeMachine(Path(folder) / "machine", domains=("package-0", "dram"), cpus=64)
    for pid in range(100, 150):
        machine.process(pid)
    node = Node("process", meters=("rapl",), system=machine.system)
    counters_j = 0.0
    for _ in range(steps):
        watts = {"package-0": random.uniform(20, 250), "dram": random.uniform(2, 30)}
        machine.work(
            1.0, busy_s=random.uniform(0, 8), watts=watts, **{f"p{p}": random.random() for p in range(100, 150)}
        )
        counters_j += sum(watts.values())
        node.read(1.0)
    error = abs(sum(node.totals.values()) - counters_j) / counters_j
    return Row("parts against the node, 50 processes", 100 * error, "%", "<= 1", how=f"fake RAPL tree, {steps} steps")


def _neighbour(peers: str | None, folder: str, work_s: float) -> Row:
    """The same CPU-seconds alone and beside busy neighbours: joules of the second over the first."""
    burn = "import time\ne = time.process_time() + {w}\nwhile time.process_time() < e: pass\n"
    ours = HELIO.format(s=0.5) + burn.format(w=work_s) + "print(t.stop().energy_j.value)\n"
    theirs = (
        CODECARBON.format(s=1, save=False, out=folder) + burn.format(w=work_s)
        + "t.stop()\nprint(t.final_emissions_data.energy_consumed * 3.6e6)\n"
    )  # fmt: skip

    def joules(python: str, code: str) -> float:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
        return float(done.stdout.splitlines()[-1])

    def ratio(python: str, code: str) -> float:
        alone = joules(python, code)
        noise = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
        try:
            crowded = joules(python, code)
        finally:
            for one in noise:
                one.kill()
                one.wait()
        return max(alone, crowded) / min(alone, crowded)

    how = f"{work_s:g} CPU-s of work, with {2 * (os.cpu_count() or 1)} busy neighbours against none"
    return Row(
        "equal work under noise",
        ratio(sys.executable, ours),
        "x",
        "<= 1.10",
        "CodeCarbon",
        peers and ratio(peers, theirs),
        how,
    )


def _names(peers: str | None) -> Row:
    from heliotrope.measure.machine.cpu import resolve

    found = sum(
        0 < socket.share.low <= socket.share.high <= 1
        and socket.vcpu_w.low < socket.vcpu_w.high
        and socket.family != "any server"
        for socket in map(resolve, NAMES)
    )
    theirs = None
    if peers:
        code = QUIET + (
            "import json, sys\nfrom codecarbon.core.cpu import TDP\nfrom codecarbon.input import DataSource\n"
            "t, d = TDP.__new__(TDP), DataSource().get_cpu_power_data()\n"
            "print(sum(t._get_matching_cpu(n, d, greedy=False) is not None for n in json.loads(sys.argv[1])))\n"
        )
        done = subprocess.run([peers, "-c", code, json.dumps(NAMES)], capture_output=True, text=True, check=False)
        theirs = float(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    how = "names that give a share of the socket with bounds; the peer gives a whole socket's TDP"
    return Row("CPU names of servers and clouds, of 25", found, "", ">= 25", "CodeCarbon", theirs, how)


def _sockets(folder: str) -> Row:
    """By the kernel where strace is here, else by every socket event of the interpreter."""
    code = HELIO.format(s=0.1) + "import time; time.sleep(0.5); t.stop()\n"
    if shutil.which("strace"):
        trace = Path(folder) / "trace"
        command = ["strace", "-f", "-e", "trace=socket,connect", "-o", str(trace), sys.executable, "-c", code]
        subprocess.run(command, check=True)
        opened = len(re.findall(r"\b(?:socket|connect)\(", trace.read_text()))
        return Row("sockets opened by default", opened, "", "= 0", how="strace of every thread and child")
    hook = "import sys\nn = []\nsys.addaudithook(lambda e, a: n.append(e) if e.startswith('socket.') else None)\n"
    done = subprocess.run(
        [sys.executable, "-c", hook + code + "print(len(n))"], capture_output=True, text=True, check=True
    )
    return Row("sockets opened by default", float(done.stdout), "", "= 0", how="every socket event of the interpreter")


def _faults() -> Row:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "tests/measure/test_measure_faults.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    right = len(set(re.findall(r"PASSED \S+::test_(\d\d)_", done.stdout)))
    return Row(
        "injected faults that end right or flagged, of 31",
        right,
        "",
        ">= 31",
        how="tests/measure/test_measure_faults.py",
    )


if __name__ == "__main__":
    run("Measure: the meter people can believe", rows)
