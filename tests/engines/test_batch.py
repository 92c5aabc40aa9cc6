"""A Slurm script as it is: every way of writing a flag, what is ours and what stays Slurm's, and where it goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foreign import taken_or_named
from heliotrope.cli.root import helio
from heliotrope.config import Settings
from heliotrope.errors import InvalidInput
from heliotrope.run import Controller
from heliotrope.run.engines.slurm.asked import SlurmWork, minutes
from heliotrope.run.imports.sbatch import read


def script(folder, *lines, body="echo hi\n"):
    path = folder / "job.sh"
    path.write_text("\n".join(["#!/bin/bash", *lines, body]))
    path.chmod(0o755)
    return path


def test_every_way_of_writing_it(tmp_path):
    batch = read(
        script(
            tmp_path,
            "# a word about it",
            "#SBATCH -J tiny -c4 --mem 4G   # with a comment",
            '#SBATCH --time=1-2:30 --account "climate lab"',
            "##SBATCH --time=1",
            "",
            "#SBATCH --gres=gpu:a100:2",
            "#SBATCH --exclusive --mail-type END",
            "#SBATCH --signal=B:USR1@60 --requeue",
            "#SBATCH -o out.%j --open-mode=append -D work",
            body="echo begins\n#SBATCH --nodes=9\n",
        )
    )
    assert (batch.name, batch.cpus, batch.memory_bytes, batch.limit_s) == ("tiny", 4, 4 << 30, 26.5 * 3600)
    assert (batch.devices, batch.device_kind, batch.directory) == (2, "a100", "work")
    assert batch.options == {
        "slurm.account": "climate lab",
        "slurm.time": "1-2:30",
        "slurm.signal": "B:USR1@60",
        "slurm.requeue": "true",
        "slurm.flags": "--exclusive --mail-type=END",
    }


@pytest.mark.parametrize(
    ("line", "devices", "kind"),
    [
        ("-G 2", 2, None),
        ("--gpus=h100:3", 3, "h100"),
        ("--gpus-per-node=1", 1, None),
        ("--gres=gpu", 1, None),
        ("--gres=gpu:2", 2, None),
        ("--gres=gpu:l40s", 1, "l40s"),
    ],
)
def test_every_way_of_asking_for_devices(tmp_path, line, devices, kind):
    batch = read(script(tmp_path, f"#SBATCH {line}"))
    assert (batch.devices, batch.device_kind) == (devices, kind)
    assert "slurm.flags" not in batch.options


def test_what_is_not_ours_stays_slurms(tmp_path):
    batch = read(script(tmp_path, "#SBATCH --gres=lustre:1 --nodes=2 --ntasks=8 --mem=0"))
    assert batch.options == {"slurm.flags": "--gres=lustre:1 --nodes=2 --ntasks=8 --mem=0"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("#SBATCH time=3", "job.sh:2: not a flag of sbatch"),
        ("#SBATCH --time=soon", "job.sh:2: --time: not understood"),
        ("#SBATCH --mem=much", "job.sh:2: --mem: not understood"),
        ("#SBATCH -c none", "job.sh:2: --cpus-per-task: not understood"),
        ("#SBATCH -J 'tiny", "job.sh:2: quotes that do not close"),
        ("#SBATCH --array=1-8%2", "job.sh:2: --array: not understood"),
        ("#SBATCH --array=0-999999999", "job.sh:2: --array: not understood"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_flag(tmp_path, line, said):
    with pytest.raises(InvalidInput) as caught:
        read(script(tmp_path, line))
    assert said in caught.value.what
    assert caught.value.cause


def test_what_is_no_script_is_told(tmp_path):
    (tmp_path / "job.sh").write_text("echo no shebang\n")
    with pytest.raises(InvalidInput, match="not a batch script"):
        read(tmp_path / "job.sh")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "none.sh")


@given(st.integers(0, 30), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_lengths_mean_what_slurm_means(days, hours, mins, seconds):
    whole = ((days * 24 + hours) * 60 + mins) + (seconds > 0)
    assert minutes(f"{days}-{hours}:{mins}:{seconds}") == whole
    assert minutes(f"{days * 24 + hours}:{mins}:{seconds}") == whole


@given(st.text(max_size=40))
def test_no_line_breaks_it(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "job.sh"
    path.write_text(f"#!/bin/sh\n#SBATCH {text}\n", encoding="utf-8", errors="replace")
    batch = taken_or_named(read, path)
    if batch is not None:
        assert batch.cpus >= 1
        assert batch.devices >= 0
        assert set(batch.options) <= {f"slurm.{name}" for name in SlurmWork.__struct_fields__}, "only what Slurm knows"
        assert all(batch.options.values())


def submit(home, *words):
    return CliRunner().invoke(helio, ["submit", "--home", str(home), "--zone", "DE", *words], catch_exceptions=False)


def test_a_script_is_taken_as_it_is_and_runs(tmp_path, home):
    path = script(tmp_path, "#SBATCH --array=3,5 -t 10", body='echo "task $SLURM_ARRAY_TASK_ID of $1" >> ran\n')
    told = submit(home, "--now", "--json", "--sbatch", str(path), "crops")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [row["task"] for row in rows] == [3, 5]
    path.write_text("#!/bin/sh\nexit 1\n")
    controller = Controller(Settings(home=str(home), zone="DE"))
    try:
        for row in rows:
            done = controller.follow(row["job"], lambda *_: None)
            assert done.state.value == "done", "a later edit changes nothing"
    finally:
        controller.close()
    assert sorted(Path("ran").read_text().splitlines()) == ["task 3 of crops", "task 5 of crops"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
