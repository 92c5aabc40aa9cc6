"""Work that can stop and go on bit for bit, here or elsewhere: its state, whole or not at all, named by content.

    keep = heliotrope.checkpoint.Checkpoint(model=model, optimizer=optimizer)
    for step in keep.steps(1000):
        train(step)

`steps` goes on after the last step that was saved. Told to stop (SIGTERM, or SIGUSR1 from Slurm), it saves after the
step under way and leaves with exit code 75: "saved, would go on".
"""

from __future__ import annotations

from heliotrope.checkpoint.keeper import Checkpoint
from heliotrope.checkpoint.shelf import Shelf

__all__ = ["Checkpoint", "Shelf"]
