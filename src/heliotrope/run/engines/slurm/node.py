"""On a Slurm node, inside the job: the keeper, and what it measured written to the job for its cluster to keep.

`python -m heliotrope.run.engines.slurm.node FOLDER`, as the job's own script.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from heliotrope.model import Measurement, total
from heliotrope.run.accounting import measured
from heliotrope.run.engines.keeper import keep
from heliotrope.run.working.folder import Folder
from heliotrope.units import J_PER_KWH


def comment(measurement: Measurement) -> str:
    """No quotes and no bars: accounting tools take these apart."""
    energy = total([measurement.energy_j])
    kwh = [f"{value / J_PER_KWH:.9f}" for value in (energy.value, energy.low, energy.high)]
    return f"helio kwh={kwh[0]} low={kwh[1]} high={kwh[2]} {energy.provenance.value}"


def _write_back(folder: Folder) -> None:
    measurement = measured([*folder.earlier(), folder])
    job = os.environ.get("SLURM_JOB_ID")
    if measurement is None or job is None:
        return
    words = ["scontrol", "update", f"JobId={job}", f"Comment={comment(measurement)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"kWh not written to the job: {done.stderr}")


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    restarted = int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0
    code = keep(folder, restarted=restarted, term_reaches_all=True)
    _write_back(folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
