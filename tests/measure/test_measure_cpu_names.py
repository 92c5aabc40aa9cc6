"""Any CPU name that a server or a cloud shows gives a share and a draw with bounds, never nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakemachine import FakeMachine
from heliotrope.measure.machine.cpu import resolve, this_cpu

# name as /proc/cpuinfo, lscpu or a cloud's console has it; family; threads of a socket that must lie in the bounds
NAMES = [
    ("AMD EPYC 7601 32-Core Processor", "amd naples", 64),
    ("AMD EPYC 7571", "amd naples", 64),
    ("AMD EPYC 7742 64-Core Processor", "amd rome", 128),
    ("AMD EPYC 7R32", "amd rome", 96),
    ("AMD EPYC 7B12", "amd rome", 128),
    ("AMD EPYC-Rome Processor", "amd rome", 128),
    ("AMD EPYC 7V12 64-Core Processor", "amd rome", 128),
    ("AMD EPYC 7763 64-Core Processor", "amd milan", 128),
    ("AMD EPYC 7R13 Processor", "amd milan", 96),
    ("AMD EPYC 7B13", "amd milan", 128),
    ("AMD EPYC-Milan Processor", "amd milan", 128),
    ("AMD EPYC 7V73X 64-Core Processor", "amd milan", 128),
    ("AMD EPYC 7J13 64-Core Processor", "amd milan", 128),
    ("AMD EPYC 9654 96-Core Processor", "amd genoa", 192),
    ("AMD EPYC 9R14", "amd genoa", 192),
    ("AMD EPYC 9V33X 96-Core Processor", "amd genoa", 192),
    ("AMD EPYC 9B14", "amd genoa", 192),
    ("AMD EPYC 9754 128-Core Processor", "amd bergamo", 256),
    ("AMD EPYC 8534P 64-Core Processor", "amd siena", 128),
    ("AMD EPYC 9965 192-Core Processor", "amd turin", 384),
    ("AMD EPYC 9V45 96-Core Processor", "amd turin", 192),
    ("AMD EPYC 4564P 16-Core Processor", "amd epyc small", 32),
    ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "intel broadwell", 36),
    ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", "intel sandy bridge", 16),
    ("Intel(R) Xeon(R) CPU E5-2666 v3 @ 2.90GHz", "intel haswell", 20),
    ("Intel(R) Xeon(R) CPU E5-2680 v2 @ 2.80GHz", "intel ivy bridge", 20),
    ("Intel(R) Xeon(R) Platinum 8124M CPU @ 3.00GHz", "intel skylake", 36),
    ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", "intel skylake", 48),
    ("Intel Xeon Processor (Skylake, IBRS)", "intel skylake", 48),
    ("Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "intel cascade lake", 48),
    ("Intel(R) Xeon(R) Platinum 8272CL CPU @ 2.60GHz", "intel cascade lake", 52),
    ("Intel Xeon Processor (Cascadelake)", "intel cascade lake", 48),
    ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "intel ice lake", 64),
    ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", "intel ice lake", 64),
    ("Intel Xeon Processor (Icelake)", "intel ice lake", 64),
    ("Intel(R) Xeon(R) Platinum 8488C", "intel sapphire rapids", 96),
    ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "intel sapphire rapids", 112),
    ("Intel Xeon Processor (SapphireRapids)", "intel sapphire rapids", 112),
    ("Intel(R) Xeon(R) Platinum 8592+", "intel emerald rapids", 128),
    ("INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz", "intel emerald rapids", 120),
    ("Intel(R) Xeon(R) 6975P-C", "intel granite rapids", 192),
    ("Intel(R) Xeon(R) 6780E", "intel sierra forest", 144),
    ("Intel(R) Xeon(R) CPU @ 2.20GHz", "intel xeon", 44),
    ("Intel(R) Xeon(R) E-2288G CPU @ 3.70GHz", "intel xeon small", 16),
    ("AWS Graviton", "aws graviton1", 16),
    ("AWS Graviton2", "aws graviton2", 64),
    ("AWS Graviton3", "aws graviton3", 64),
    ("Graviton3E", "aws graviton3", 64),
    ("AWS Graviton4", "aws graviton4", 96),
    ("Neoverse-N1", "arm neoverse n1", 80),
    ("Neoverse-V1", "aws graviton3", 64),
    ("Neoverse-V2", "arm neoverse v2", 96),
    ("Ampere(R) Altra(R) Processor Q80-30 CPU @ 3.0GHz", "ampere altra", 80),
    ("Ampere Altra Max M128-30", "ampere altra max", 128),
    ("AmpereOne A192-32X", "ampere one", 192),
    ("Azure Cobalt 100", "azure cobalt", 128),
    ("Google Axion", "google axion", 96),
    ("NVIDIA Grace", "nvidia grace", 72),
    ("Kunpeng-920", "huawei kunpeng", 64),
    ("Yitian 710", "alibaba yitian", 128),
    ("QEMU Virtual CPU version 2.5+", "qemu x86", 64),
    ("Common KVM processor", "qemu x86", 64),
    ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", "intel core", 12),
    ("AMD Ryzen 9 7950X 16-Core Processor", "amd ryzen", 32),
    ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", "amd threadripper", 128),
    ("Apple M2 Max", "apple silicon", 12),
    ("AMD EPYC 3451", "amd epyc embedded", 32),
    ("AMD EPYC 7K62 48-Core Processor", "amd rome", 96),
    ("AMD EPYC-Turin Processor", "amd turin", 256),
    ("Intel(R) Xeon(R) CPU X5650 @ 2.67GHz", "intel nehalem", 12),
    ("Westmere E56xx/L56xx/X56xx (Nehalem-C)", "intel nehalem", 12),
    ("Intel(R) Xeon Phi(TM) CPU 7250 @ 1.40GHz", "intel xeon phi", 272),
    ("Intel Core Processor (Haswell, no TSX)", "intel haswell", 28),
    ("Intel Core Processor (Skylake, IBRS)", "intel skylake", 48),
    ("Intel(R) Xeon(R) Bronze 3204 CPU @ 1.90GHz", "intel cascade lake", 6),
    ("Intel(R) Xeon(R) Silver 4510", "intel emerald rapids", 24),
    ("Intel(R) Xeon(R) CPU Max 9480", "intel sapphire rapids", 112),
    ("Neoverse-V3", "arm neoverse v3", 132),
    ("NVIDIA Vera", "nvidia vera", 176),
    ("Phytium FT-2000+/64", "phytium", 64),
    ("IBM z16", "ibm z", 16),
    ("POWER9, altivec supported", "ibm power", 88),
    ("Raspberry Pi 5 Model B Rev 1.0", "raspberry pi", 4),
    ("NVIDIA Jetson Orin Nano", "arm edge", 6),
    ("SOPHGO SG2042", "risc-v", 64),
    ("DO-Premium-AMD", "amd epyc", 128),
    ("x86_64", "qemu x86", 64),
    ("aarch64", "arm", 64),
    ("m7g.large", "aws graviton3", 64),
    ("c6i.32xlarge", "intel ice lake", 64),
    ("r6a.4xlarge", "amd milan", 96),
    ("m7i-flex.large", "intel sapphire rapids", 96),
    ("p4d.24xlarge", "intel cascade lake", 48),
    ("t4g.nano", "aws graviton2", 64),
    ("n2d-standard-8", "amd milan", 128),
    ("c4a-highmem-72", "google axion", 96),
    ("t2a-standard-8", "ampere altra", 80),
    ("a3-highgpu-8g", "intel sapphire rapids", 104),
    ("Standard_D8s_v5", "intel ice lake", 64),
    ("Standard_D4as_v5", "amd milan", 128),
    ("Standard_D16ps_v5", "ampere altra", 80),
    ("Standard_D8ps_v6", "azure cobalt", 128),
    ("Standard_NC24ads_A100_v4", "amd milan", 128),
    ("VM.Standard.A1.Flex", "ampere altra", 80),
    ("ecs.g8y.large", "alibaba yitian", 128),
    ("INTEL(R) XEON(R) PLATINUM 8571N", "intel emerald rapids", 104),
    ("Intel(R) Xeon(R) 6975P-C", "intel granite rapids", 192),
    ("Intel Xeon Processor (ClearwaterForest)", "intel sierra forest", 288),
    ("Montage(R) Jintide(R) C2460", "intel skylake", 48),
    ("IBM Telum", "ibm z", 16),
    ("VirtualApple @ 2.50GHz", "apple silicon", 8),
    ("Intel(R) Processor U300", "intel small", 6),
    ("", "any server", 64),
]
THREADS = {  # what the maker put into it: by the name itself, or by the table of models
    "AMD EPYC 7V73X 64-Core Processor": 128,
    "AMD EPYC 9V74 80-Core Processor": 160,
    "AMD EPYC 7K62 48-Core Processor": 96,
    "AMD EPYC 4564P 16-Core Processor": 32,
    "Hygon C86 7285 32-core Processor": 64,
    "AMD Ryzen Threadripper PRO 7995WX 96-Cores": 192,
    "AMD Ryzen 9 9950X 16-Core Processor": 32,
    "AMD FX(tm)-8350 Eight-Core Processor": 8,
    "Intel(R) Xeon(R) w9-3495X": 112,
    "Intel(R) Xeon(R) Bronze 3104 CPU @ 1.70GHz": 6,
    "INTEL(R) XEON(R) GOLD 6548Y+": 64,
    "Intel(R) Xeon(R) Platinum 8352Y CPU @ 2.20GHz": 64,
    "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz": 112,
    "Intel(R) Xeon(R) CPU E5-2699 v4 @ 2.20GHz": 44,
    "Intel(R) Xeon(R) CPU E5-2637 v3 @ 3.50GHz": 8,
    "Intel(R) Xeon(R) D-1541 CPU @ 2.10GHz": 16,
    "Intel(R) Xeon(R) E-2224 CPU @ 3.40GHz": 4,
}


@pytest.mark.parametrize(("name", "family", "threads"), NAMES)
def test_a_name_gives_a_share_with_bounds(name, family, threads):
    socket = resolve(name)
    assert socket.family == family
    assert socket.threads.low <= threads <= socket.threads.high or socket.threads.value == pytest.approx(
        threads, rel=0.25
    )
    assert 0 < socket.share.low <= socket.share.value <= socket.share.high <= 1
    assert 0.3 < socket.vcpu_w.low < socket.vcpu_w.value < socket.vcpu_w.high < 40
    assert socket.vcpu_w.value < socket.tdp_w.value / 2, "never the whole socket for one vCPU"
    assert socket.exact or socket.flags, "what is not exact is flagged"


@pytest.mark.parametrize("name", THREADS)
def test_threads_that_are_told_are_no_span(name):
    socket = resolve(name)
    assert (socket.threads.low, socket.threads.value, socket.threads.high) == (THREADS[name],) * 3
    assert socket.share.low == 1 / THREADS[name]
    assert socket.vcpu_w.low < socket.tdp_w.value / THREADS[name] < socket.vcpu_w.high


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_name_at_all_breaks_it(name, cpuid):
    socket = resolve(name, cpuid)
    assert socket.vcpu_w.low < socket.vcpu_w.high
    assert socket.facts


@pytest.mark.parametrize(
    ("name", "cpuid", "family"),
    [
        ("AMD EPYC", "25/1/1", "amd milan"),
        ("AMD EPYC Processor", "23/49/0", "amd rome"),
        ("AMD EPYC Processor", "25/17/1", "amd genoa"),
        ("AMD EPYC Processor", "26/2/1", "amd turin"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "6/79/0", "intel broadwell"),
        ("Intel(R) Xeon(R) Processor @ 2.00GHz", "6/85/3", "intel skylake"),
        ("Intel(R) Xeon(R) Processor @ 2.80GHz", "6/85/7", "intel cascade lake"),
        ("Intel(R) Xeon(R) CPU @ 2.60GHz", "6/106/6", "intel ice lake"),
        ("", "0x41/0xd0c", "arm neoverse n1"),
        ("", "0x41/0xd49", "azure cobalt"),
        ("", "0xc0/0xac3", "ampere one"),
    ],
)
def test_a_name_that_hides_the_generation_is_helped_by_cpuid(name, cpuid, family):
    assert resolve(name, cpuid).family == family


def test_every_family_can_be_reached_and_is_in_order():
    from heliotrope import facts

    for row in facts.table("cpu_families"):
        low, middle, high = (int(row.more[key]) for key in ("cores_low", "cores", "cores_high"))
        assert low <= middle <= high, row.name
        assert float(row.more["w_low"]) < float(row.more["w_high"]), row.name


def test_an_arm_guest_without_a_name(tmp_path):
    machine = FakeMachine(tmp_path)
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nBogoMIPS\t: 2100.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    )
    cpu = this_cpu(machine.system)
    assert cpu.socket.family == "aws graviton3"
    assert cpu.vcpus == 4


def test_a_guest_whose_cloud_says_what_it_rents(tmp_path):
    """The CPU's name hides the generation; the firmware names the instance type."""
    machine = FakeMachine(tmp_path)
    machine._write("proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t: fpu hypervisor\n")
    assert this_cpu(machine.system).socket.family == "amd epyc"
    machine._write("sys/class/dmi/id/product_name", "m7a.large\n")
    assert this_cpu(machine.system).socket.family == "amd genoa"
    machine._write("sys/class/dmi/id/product_name", "Google Compute Engine\n")
    assert this_cpu(machine.system).socket.family == "amd epyc"
