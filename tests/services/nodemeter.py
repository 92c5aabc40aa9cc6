"""A power meter for each emulated node: a file laid out as a processor's energy registers, driven by a file of watts.

Slurm's own `acct_gather_energy/rapl` reads `/dev/cpu/0/msr` by offset; a regular file will do. 1 J is 2**14 counts.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path

UNITS, PACKAGE, LIMIT_INFO = 0x606, 0x611, 0x614
COUNTS_PER_J = 1 << 14


def main(folder: Path) -> None:
    files, energy_j = {}, {}
    for node in sorted(folder.iterdir()):
        files[node] = os.open(node / "0" / "msr", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(files[node], 0x2000)
        os.pwrite(files[node], struct.pack("<Q", (14 << 8) | 3 | (10 << 16)), UNITS)
        os.pwrite(files[node], struct.pack("<Q", 2000), LIMIT_INFO)
        energy_j[node] = 0.0
    then_s = time.monotonic()
    while True:
        time.sleep(0.1)
        now_s = time.monotonic()
        for node, file in files.items():
            watts = (node / "watts").read_text()
            # Empty for the instant in which it is written anew.
            energy_j[node] += float(watts or 0) * (now_s - then_s)
            os.pwrite(file, struct.pack("<Q", int(energy_j[node] * COUNTS_PER_J) & 0xFFFF_FFFF), PACKAGE)
        then_s = now_s


if __name__ == "__main__":
    main(Path(sys.argv[1]))
