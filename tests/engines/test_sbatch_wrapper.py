"""The wrapper that a cluster lays before its own sbatch: plain scripts come here, all else goes to Slurm, nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WRAPPER = Path(__file__).parents[2] / "tools" / "sbatch"
HELIO = Path(sys.executable).parent


@pytest.fixture
def cluster(tmp_path, home):
    """A login node: the wrapper, then an sbatch that writes down what it was given."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "sbatch").symlink_to(WRAPPER)
    (tmp_path / "system").mkdir()
    for tool in ("cat", "readlink", "sh"):
        (tmp_path / "system" / tool).symlink_to(shutil.which(tool))
    (tmp_path / "slurm bin").mkdir()
    real = tmp_path / "slurm bin" / "sbatch"
    real.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/given\n[ -t 0 ] || cat > {tmp_path}/stdin\necho Submitted\n'
    )
    real.chmod(0o755)
    (tmp_path / "job.sh").write_text("#!/bin/sh\necho hi\n")
    return tmp_path


def sbatch(cluster, *words, helio=HELIO, stdin=""):
    path = os.pathsep.join(
        map(str, [cluster / "first", *([helio] if helio else []), cluster / "slurm bin", cluster / "system"])
    )
    return subprocess.run(
        ["sbatch", *words],
        executable=str(cluster / "first" / "sbatch"),
        cwd=cluster,
        env={"PATH": path, "HOME": str(cluster), "HELIO_HOME": str(cluster / "home")},
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
    )


def jobs(cluster):
    told = subprocess.run(
        [str(HELIO / "helio"), "jobs", "--json", "--home", str(cluster / "home")],
        text=True,
        capture_output=True,
        check=True,
    )
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_plain_script_comes_here(cluster):
    told = sbatch(cluster, "job.sh", "--epochs", "a b")
    assert (told.returncode, (cluster / "given").exists()) == (0, False), told.stderr
    assert "job.sh" in told.stdout
    assert len(jobs(cluster)) == 1


@pytest.mark.parametrize("words", [("--parsable", "job.sh", "a b"), ("--wrap=sleep 1",), ("-N2", "job.sh")])
def test_flags_go_to_slurm_word_by_word(cluster, words):
    told = sbatch(cluster, *words)
    assert (told.returncode, told.stdout) == (0, "Submitted\n")
    assert (cluster / "given").read_text().splitlines() == list(words)


def test_a_script_on_stdin_goes_to_slurm(cluster):
    assert sbatch(cluster, stdin="#!/bin/sh\necho hi\n").stdout == "Submitted\n"
    assert (cluster / "stdin").read_text() == "#!/bin/sh\necho hi\n"


def test_what_is_refused_here_goes_to_slurm_and_says_why(cluster):
    (cluster / "job.sh").write_text("#!/bin/sh\n#SBATCH --array=1-8%2\n")
    told = sbatch(cluster, "job.sh", "a b")
    assert told.stdout == "Submitted\n"
    assert "job.sh:2: --array" in told.stderr
    assert "handed to Slurm" in told.stderr
    assert (cluster / "given").read_text().splitlines() == ["job.sh", "a b"]
    assert jobs(cluster) == []


def test_without_heliotrope_all_is_as_before(cluster):
    assert sbatch(cluster, "job.sh", helio=None).stdout == "Submitted\n"


def test_what_was_accepted_in_part_is_not_sent_twice(cluster):
    """Half an array was taken when the rest was refused: Slurm must not run the first half again."""
    half = cluster / "half"
    half.mkdir()
    (half / "helio").write_text("#!/bin/sh\necho a: job.sh, task 1\nexit 3\n")
    (half / "helio").chmod(0o755)
    told = sbatch(cluster, "job.sh", helio=half)
    assert (told.returncode, (cluster / "given").exists()) == (3, False)


def test_without_slurm_it_says_so(cluster):
    (cluster / "slurm bin" / "sbatch").unlink()
    told = sbatch(cluster, "--parsable", "job.sh")
    assert (told.returncode, "not on PATH" in told.stderr) == (127, True)
