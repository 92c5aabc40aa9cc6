"""How a training job says where its model came from: one file beside its checkpoints, read when its run is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from heliotrope.errors import InvalidInput
from heliotrope.files import write_whole
from heliotrope.prove.files import UNREADABLE, bounded, read_bytes
from heliotrope.prove.records import record
from heliotrope.prove.records.statements import Training, TrainingStep

FILE = "training.json"
_CHUNK_BYTES = 1 << 20


def read(checkpoints: Path) -> Training | None:
    """What the job left in its checkpoint folder; None where it left nothing."""
    path = checkpoints / FILE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(bounded(read_bytes(path)), type=Training)
    except UNREADABLE as error:
        raise InvalidInput("not a training's provenance", file=str(path), cause=str(error)) from error


class TrainingTrail:
    """Called from a training loop; the file is whole after every call, so that a killed job leaves what it did.

    `folder`: the checkpoint folder, $HELIO_CHECKPOINT in a run of ours. Checkpoints are kept there by their SHA-256,
    where an auditor looks for them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        code: Path,
        data: Path | None = None,
        seed: int | None = None,
        hyper_parameters: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._losses = sha256()
        self._training = Training(
            code_digest=digest_of(code),
            data_digest=digest_of(data) if data else "",
            seed=seed,
            hyper_parameters=dict(hyper_parameters or {}),
            environment=dict(environment or {}),
        )
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, checkpoint: bytes) -> str:
        """Its digest, under which it lies in the folder from now on."""
        name = record.digest(checkpoint)
        path = self._folder / name
        if not path.exists():
            write_whole(path, checkpoint)
        return name

    def step(self, number: int, before: str, after: str) -> None:
        """That the code, from checkpoint `before`, makes `after` bit for bit at this step."""
        taken = TrainingStep(number, before, after)
        self._training = msgspec.structs.replace(self._training, steps=(*self._training.steps, taken))
        self._write()

    def loss(self, step: int, value: float) -> None:
        """One point of the loss curve; the record holds the digest of its lines `STEP LOSS`."""
        self._losses.update(f"{step} {value!r}\n".encode())
        self._training = msgspec.structs.replace(self._training, loss_curve_digest=self._losses.hexdigest())
        self._write()

    def _write(self) -> None:
        write_whole(self._folder / FILE, msgspec.json.encode(self._training))


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and digests in order."""
    if path.is_dir():
        lines = [f"{file.relative_to(path)} {digest_of(file)}\n" for file in sorted(path.rglob("*")) if file.is_file()]
        return record.digest("".join(lines).encode())
    whole = sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK_BYTES):
            whole.update(part)
    return whole.hexdigest()
