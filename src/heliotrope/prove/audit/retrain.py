"""Takes sampled training steps again from their checkpoints, with the auditor's own copy of the code."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from heliotrope.errors import UsageError
from heliotrope.prove.files import read_bytes
from heliotrope.prove.records.record import digest
from heliotrope.prove.records.statements import Training, TrainingStep

TIMEOUT_S = 600.0


class Retrain:
    """Runs `code BEFORE AFTER STEP` in a folder of its own. Only code that the auditor holds is ever run.

    The steps are drawn when the record is already signed, so that nobody can know which must be honest.
    """

    def __init__(self, code: Path, checkpoints: Path, *, samples: int = 3, timeout_s: float = TIMEOUT_S) -> None:
        self.code = code.absolute()
        self.checkpoints = checkpoints
        self.samples = samples
        self.timeout_s = timeout_s
        self._dice = random.SystemRandom()

    def reasons_against(self, training: Training) -> list[str]:
        """Empty where every sampled step came out the same, or where none can be taken again."""
        if not training.steps:
            return []
        if digest(read_bytes(self.code)) != training.code_digest:
            return [f"the training code named ({training.code_digest[:12]}…) is not the code held here"]
        chosen = self._dice.sample(training.steps, min(self.samples, len(training.steps)))
        reasons = []
        for step in sorted(chosen, key=lambda step: step.step):
            reasons += self._again(step)
        return reasons

    def _again(self, step: TrainingStep) -> list[str]:
        before = self.checkpoints / step.before
        if not before.is_file():
            return [f"the checkpoint before step {step.step} is not to be had"]
        if digest(read_bytes(before)) != step.before:
            return [f"the checkpoint before step {step.step} is not the one it names"]
        with tempfile.TemporaryDirectory() as folder:
            after = Path(folder) / "after"
            command = [sys.executable, str(self.code), str(before.absolute()), str(after), str(step.step)]
            try:
                done = subprocess.run(command, cwd=folder, capture_output=True, timeout=self.timeout_s, check=False)
            except subprocess.TimeoutExpired:
                return [f"step {step.step} took longer than {self.timeout_s:.0f} s"]
            if done.returncode != 0:
                raise UsageError(
                    f"{self.code.name} failed at step {step.step} with exit code {done.returncode}",
                    cause=done.stderr.decode(errors="replace")[-300:],
                    hint="it must run here as it did there; until then nothing is said of this record",
                )
            if not after.is_file():
                return [f"step {step.step}, taken again, wrote no checkpoint"]
            found = digest(after.read_bytes())
        return [] if found == step.after else [f"step {step.step}, taken again, leads elsewhere than the record says"]
