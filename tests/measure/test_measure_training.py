"""Energy of training: real Trainer, real Lightning, real ranks over torch.distributed, nothing counted twice."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

import heliotrope
from heliotrope.errors import InvalidInput, MeterError, UsageError
from heliotrope.measure.power import Rider
from heliotrope.measure.training import ranks
from heliotrope.measure.training.steps import StepMeter
from heliotrope.model import Estimate, Measurement, MeterTotal, Provenance, Reading


def burn(seconds=0.03):
    import time

    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_windows_lie_within_each_other_and_their_sums_too():
    with heliotrope.measure("run") as run:
        with heliotrope.measure("epoch") as one:
            burn(0.2)
        with heliotrope.measure("epoch") as two:
            burn(0.2)
    assert one.path == "run/epoch"
    assert one.energy_j.value > 0
    assert one.energy_j.value + two.energy_j.value <= run.energy_j.value * 1.0001
    assert run.stop() == run.stop()
    assert {"value", "low", "high", "provenance"} == set(run.carbon_g.__struct_fields__)


def test_a_measured_function_keeps_its_name_and_its_figures():
    @heliotrope.measured
    def work(x):
        """Doubles."""
        burn(0.05)
        return 2 * x

    assert work(4) == 8
    assert work.__doc__ == "Doubles."
    assert work.last.energy_j.value > 0
    with pytest.raises(ZeroDivisionError):
        heliotrope.measured(lambda: 1 / 0)()


def test_a_handle_is_used_once():
    handle = heliotrope.measure("x")
    with pytest.raises(UsageError, match="not begun"):
        handle.totals()
    with handle, pytest.raises(UsageError, match="begun already"):
        handle.start()


def test_steps_and_epochs_of_a_plain_loop():
    meter = StepMeter(interval_s=0.2)
    meter.begin()
    for _ in range(2):
        for _batch in meter.over(range(5)):
            burn(0.03)
    total = meter.end()
    assert [step.epoch for step in meter.steps] == [0] * 5 + [1] * 5
    assert len(meter.epochs) == 2
    steps_j = sum(step.energy_j for step in meter.steps)
    assert steps_j <= sum(epoch.energy_j.value for epoch in meter.epochs) * 1.001
    assert sum(epoch.energy_j.value for epoch in meter.epochs) <= total.energy_j.value * 1.001
    assert steps_j > 0.5 * total.energy_j.value


class Counted(Rider):
    def __init__(self):
        self.calls = []

    def step(self):
        self.calls.append("step")

    def close(self):
        self.calls.append("close")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hugging_face_trainer(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from heliotrope.measure.training.callbacks.huggingface import HeliotropeCallback

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 1)

        def forward(self, x, labels):
            out = self.layer(x).squeeze(-1)
            return {"loss": ((out - labels) ** 2).mean(), "logits": out}

    data = [{"x": torch.randn(64), "labels": torch.tensor(1.0)} for _ in range(64)]
    power = Counted()
    callback = HeliotropeCallback(interval_s=0.2, power=power)
    trainer = transformers.Trainer(
        model=Line(),
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=8, report_to=[], logging_steps=4,
            use_cpu=True, disable_tqdm=True, save_strategy="no",
        ),
        train_dataset=data,
        callbacks=[callback],
    )  # fmt: skip
    trainer.train()
    assert len(callback.meter.steps) == 16
    assert len(callback.meter.epochs) == 2
    assert callback.meter.total.energy_j.value > 0
    assert "'energy_j'" in capsys.readouterr().out
    assert power.calls == ["step"] * 16 + ["close"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_trainer(tmp_path):
    torch = pytest.importorskip("torch")
    lightning = pytest.importorskip("lightning.pytorch")
    from heliotrope.measure.training.callbacks.lightning import HeliotropeCallback

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(16, 1)

        def training_step(self, batch, index):
            return self.layer(batch[0]).pow(2).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(32, 16)), batch_size=8)
    power = Counted()
    callback = HeliotropeCallback(interval_s=0.2, power=power)
    lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[callback],
    ).fit(Line(), data)  # fmt: skip
    assert len(callback.meter.steps) == 8
    assert len(callback.meter.epochs) == 2
    assert callback.meter.total.energy_j.value > 0
    assert power.calls == ["step"] * 8 + ["close"]


@pytest.mark.slow
def test_plain_pytorch():
    torch = pytest.importorskip("torch")
    from heliotrope.measure.training.callbacks.pytorch import steps

    layer = torch.nn.Linear(256, 256)
    optimizer = torch.optim.SGD(layer.parameters(), 0.01)
    with steps(optimizer, interval_s=0.2) as meter:
        for epoch in range(2):
            if epoch:
                meter.epoch()
            for _ in range(4):
                optimizer.zero_grad()
                layer(torch.randn(64, 256)).pow(2).mean().backward()
                optimizer.step()
    optimizer.step()
    assert [step.epoch for step in meter.steps] == [0] * 4 + [1] * 4
    assert all(step.energy_j > 0 for step in meter.steps)
    assert sum(step.energy_j for step in meter.steps) <= meter.total.energy_j.value * 1.001


def part(host, rank, cpu_j, gpu_j=0.0, flag=""):
    readings = [Reading("modelled", "cpu", 10.0, 20.0, cpu_j)]
    meters = [MeterTotal("modelled", "cpu", Provenance.MODELLED, cpu_j)]
    if gpu_j:
        readings.append(Reading("nvml", "gpu0", 10.0, 20.0, gpu_j))
        meters.append(MeterTotal("nvml", "gpu0", Provenance.MEASURED, gpu_j))
    energy = Estimate(cpu_j + gpu_j, 0.9 * (cpu_j + gpu_j), 1.1 * (cpu_j + gpu_j), Provenance.MODELLED)
    flags = (f"gpu0: {flag}",) if flag else ()
    return ranks.RankPart(host, rank, Measurement("t", 10.0, 20.0, 10.0, energy, tuple(meters), tuple(readings), flags))


def test_ranks_add_and_a_shared_device_counts_once_a_node():
    hidden = "its users are not shown, all of it is counted"
    merged = ranks.merge([part("a", 0, 5, 100, hidden), part("a", 1, 7, 100, hidden), part("b", 2, 3, 50, hidden)])
    assert merged.energy_j.value == pytest.approx(5 + 7 + 3 + 100 + 50)
    assert sum(meter.energy_j for meter in merged.meters) == pytest.approx(165)
    assert ranks.merge([part("a", 0, 5, 10), part("a", 1, 5, 20)]).energy_j.value == pytest.approx(40)
    with pytest.raises(InvalidInput, match="twice"):
        ranks.merge([part("a", 0, 1), part("b", 0, 1)])


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, ranks.Rank(0, 1, 0)),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, ranks.Rank(3, 4, 1)),
        (
            {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "8", "OMPI_COMM_WORLD_LOCAL_RANK": "0"},
            ranks.Rank(2, 8, 0),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, ranks.Rank(1, 2, 0)),
        ({"SLURM_PROCID": "5", "SLURM_NTASKS": "6", "SLURM_LOCALID": "2"}, ranks.Rank(5, 6, 2)),
    ],
)
def test_every_launcher_says_who_we_are(environment, rank):
    assert ranks.who(environment) == rank


def test_a_rank_that_cannot_be():
    with pytest.raises(InvalidInput, match="beyond"):
        ranks.who({"RANK": "4", "WORLD_SIZE": "4"})
    with pytest.raises(InvalidInput, match="not a rank"):
        ranks.who({"RANK": "x", "WORLD_SIZE": "4"})


@pytest.mark.slow
def test_two_real_ranks_make_one_reading(tmp_path):
    pytest.importorskip("torch")
    script = tmp_path / "rank.py"
    script.write_text(
        "import sys, time, msgspec\n"
        "import torch.distributed as d\n"
        "from heliotrope import measure\n"
        "from heliotrope.measure.training import ranks\n"
        "d.init_process_group('gloo', init_method='file://' + sys.argv[1], rank=int(sys.argv[2]), world_size=2)\n"
        "d.barrier()\n"
        "s = measure.start('ranks', interval_s=0.2)\n"
        "end = time.process_time() + 1\n"
        "while time.process_time() < end: pass\n"
        "m = s.stop()\n"
        "whole = ranks.gather(m)\n"
        "sys.stdout.write(msgspec.json.encode([m.energy_j.value, whole and whole.energy_j.value]).decode())\n"
        "sys.stdout.flush()\n"
        "d.barrier()\n"
        "d.destroy_process_group()\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "meet"), str(rank)],
            stdout=subprocess.PIPE, env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        )
        for rank in range(2)
    ]  # fmt: skip
    outs = [msgspec.json.decode(child.communicate(timeout=90)[0]) for child in children]
    assert outs[0][1] == pytest.approx(outs[0][0] + outs[1][0])
    assert outs[1][1] is None


def test_a_program_leaves_its_windows_to_whoever_asked(tmp_path, monkeypatch):
    from heliotrope.measure.records import windows

    path = tmp_path / "windows.jsonl"
    assert windows.read(path) == []
    monkeypatch.setenv("HELIO_WINDOWS", str(path))
    with StepMeter("train", interval_s=0.2) as meter:
        for _ in range(2):
            for _batch in meter.over(range(3)):
                burn(0.01)
    found = windows.read(path)
    steps = [window for window in found if window.name == "step"]
    assert [window.path for window in steps[:3]] == ["train/epoch 0/step"] * 3
    assert [step.energy_j for step in meter.steps] == pytest.approx([window.energy_j for window in steps])
    assert found[-1].path == "train"
    assert sum(window.energy_j for window in steps) <= found[-1].energy_j * 1.001
    assert all(window.low_j <= window.energy_j <= window.high_j for window in found)
    with path.open("a") as file:
        file.write('{"path": "torn')
    assert windows.read(path) == found


def test_many_windows_share_lines_and_lose_no_joule(tmp_path, monkeypatch):
    from heliotrope.measure.records import windows

    monkeypatch.setattr(windows, "FULL", 10)
    writer = windows.Writer(tmp_path / "w.jsonl")
    for n in range(500):
        energy = Estimate(1.0, 0.5, 2.0, Provenance.MODELLED)
        writer.add(f"run/epoch {n // 100}/step", Measurement("step", n, n + 1.0, 1.0, energy))
    writer.flush()
    found = windows.read(tmp_path / "w.jsonl")
    assert len(found) < 80
    assert sum(window.energy_j for window in found) == pytest.approx(500)
    assert [window.first for window in found[1:]] == [window.last + 1 for window in found[:-1]]
    (tmp_path / "w.jsonl").write_text("{}\n")
    with pytest.raises(InvalidInput, match=r"w\.jsonl:1"):
        windows.read(tmp_path / "w.jsonl")


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [("SLURM_PROCID", "SLURM_NTASKS"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")], ids=["slurm", "mpi"]
)
def test_ranks_without_torch_meet_in_a_folder(tmp_path, names):
    script = (
        "import sys, time, msgspec\n"
        "from pathlib import Path\n"
        "from heliotrope import measure\n"
        "from heliotrope.measure.training import ranks\n"
        "s = measure.start('ranks', interval_s=0.2)\n"
        "end = time.process_time() + 0.3\n"
        "while time.process_time() < end: pass\n"
        "m = s.stop()\n"
        "whole = ranks.gather(m, folder=Path(sys.argv[1]))\n"
        "sys.stdout.write(msgspec.json.encode([m.energy_j.value, whole and whole.energy_j.value]).decode())\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "meet")],
            stdout=subprocess.PIPE,
            env={**os.environ, names[0]: str(rank), names[1]: "3"},
        )
        for rank in range(3)
    ]
    outs = [msgspec.json.decode(child.communicate(timeout=60)[0]) for child in children]
    assert outs[0][1] == pytest.approx(sum(own for own, _ in outs))
    assert [whole for _, whole in outs[1:]] == [None, None]


def test_a_rank_that_never_comes_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MeterError, match="1 of 2 ranks"):
        ranks.gather(part("a", 0, 1.0).measurement, folder=tmp_path, timeout_s=0.1)
