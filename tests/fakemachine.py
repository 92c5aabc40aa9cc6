"""Fake machines: a /proc and a /sys in a folder, and an NVML that answers from a list."""

from __future__ import annotations

from types import SimpleNamespace

from heliotrope.measure.machine.system import TICKS_PER_S, System

RANGE_UJ = 262_143_328_850


class FakeMachine:
    """Moves by `work`: CPU-seconds of each process, watts of each domain."""

    def __init__(self, root, *, cpus=4, domains=("package-0",), range_uj=RANGE_UJ):
        self.root = root
        self.cpus = cpus
        self.range_uj = range_uj
        self.busy_s = 0.0
        self.counters_uj = {}
        self.folders = {}
        self.processes = {}
        self.system = System(root)
        self._write("proc/meminfo", "MemTotal: 8000000 kB\n")
        self._write(
            "proc/cpuinfo", "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz\nflags\t: fpu\n"
        )
        packages = 0
        for number, domain in enumerate(domains):
            if domain.startswith(("package", "psys")):
                folder = f"sys/class/powercap/intel-rapl:{packages}"
                packages += 1
            else:
                folder = f"sys/class/powercap/intel-rapl:{max(0, packages - 1)}:{number}"
            self.folders[domain] = folder
            self.counters_uj[domain] = 1000
            self._write(f"{folder}/name", domain)
            self._write(f"{folder}/max_energy_range_uj", str(range_uj))
        self.flush()

    def _write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def remove(self, name):
        (self.root / name).unlink()

    def process(self, pid, *, parent=1, own_s=0.0, reaped_s=0.0, session=None, started=1):
        self.processes[pid] = SimpleNamespace(
            parent=parent, own_s=own_s, reaped_s=reaped_s, session=session or pid, started=started
        )
        self.flush()

    def end(self, pid, *, collected=True):
        process = self.processes.pop(pid)
        if collected and process.parent in self.processes:
            self.processes[process.parent].reaped_s += process.own_s + process.reaped_s
        for name in ("stat",):
            self.remove(f"proc/{pid}/{name}")
        for other in self.processes.values():
            if other.parent == pid:
                other.parent = 1
        self.flush()

    def work(self, seconds=1.0, *, busy_s=0.0, watts=None, **own_s):
        self.busy_s += busy_s
        for pid, more_s in own_s.items():
            self.processes[int(pid[1:])].own_s += more_s
            self.busy_s += more_s
        for domain, power_w in (watts or {}).items():
            self.counters_uj[domain] = (self.counters_uj[domain] + round(power_w * seconds * 1e6)) % self.range_uj
        self.flush()

    def flush(self):
        ticks = round(self.busy_s * TICKS_PER_S)
        lines = [f"cpu  {ticks} 0 0 0 0 0 0 0 0 0", *(f"cpu{n} 0 0 0 0 0 0 0 0 0 0" for n in range(self.cpus))]
        self._write("proc/stat", "\n".join(lines) + "\n")
        for domain, folder in self.folders.items():
            # In place and always as long: whoever reads meanwhile finds a number, as in a real /sys.
            path = self.root / folder / "energy_uj"
            with path.open("r+b" if path.exists() else "wb", buffering=0) as counter:
                counter.write(b"%020d" % self.counters_uj[domain])
        for pid, p in self.processes.items():
            own, reaped = round(p.own_s * TICKS_PER_S), round(p.reaped_s * TICKS_PER_S)
            self._write(
                f"proc/{pid}/stat",
                f"{pid} (a (b) c) S {p.parent} {p.session} {p.session} 0 -1 0 0 0 0 0 {own} 0 {reaped} 0 20 0 1 0 {p.started} 0 10",
            )
            children = " ".join(str(c) for c, other in self.processes.items() if other.parent == pid)
            self._write(f"proc/{pid}/task/{pid}/children", children)


class FakeNvml:
    """Devices as dicts: energy_mj (None: no counter), power_w, limit_w, users {pid: utilisation}, error."""

    NVML_ERROR_NOT_SUPPORTED = 3

    class NVMLError(Exception):
        def __init__(self, value):
            super().__init__(f"NVML error {value}")
            self.value = value

    def __init__(self, *gpus):
        self.gpus = list(gpus)

    def _gpu(self, handle, key):
        gpu = self.gpus[handle]
        if gpu.get("error"):
            raise self.NVMLError(gpu["error"])
        if gpu.get(key) is None:
            raise self.NVMLError(3)
        return gpu[key]

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return self.gpus[handle].get("name", "NVIDIA L4")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        return self._gpu(handle, "energy_mj")

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        return round(self._gpu(handle, "power_w") * 1000)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return round(self._gpu(handle, "limit_w") * 1000)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in self._gpu(handle, "users")]

    def nvmlDeviceGetProcessUtilization(self, handle, since):  # noqa: N802
        return [SimpleNamespace(pid=p, smUtil=u, timeStamp=since + 1) for p, u in self._gpu(handle, "users").items()]

    def nvmlShutdown(self):  # noqa: N802
        pass
