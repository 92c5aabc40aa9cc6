"""A Ray job as it is: its entry point, or the request that `ray job submit` sends; what cannot be kept is refused."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from heliotrope.cli.root import helio
from heliotrope.errors import InvalidInput
from heliotrope.run.imports import ray
from heliotrope.run.views import jobs, run_view
from heliotrope.store import Store

JOB = {
    "entrypoint": "echo $SAID; pwd; exit 3",
    "submission_id": "climate-7",
    "entrypoint_num_cpus": 2,
    "entrypoint_num_gpus": 1,
    "entrypoint_memory": 1 << 30,
    "entrypoint_label_selector": {"tier": "central"},
    "runtime_env": {"env_vars": {"SAID": "hello"}, "working_dir": "/tmp", "excludes": ["*.bin"]},
    "metadata": {"owner": "ann"},
}


def written(tmp_path, **more):
    path = tmp_path / "job.json"
    path.write_text(json.dumps(JOB | more))
    return str(path)


def test_what_a_request_asks_for_is_asked_for(tmp_path):
    asked = ray.job(written(tmp_path))
    assert asked.command == ("/bin/bash", "-c", "echo $SAID; pwd; exit 3")
    assert (asked.name, asked.cpus, asked.devices, asked.memory_bytes) == ("climate-7", 2.0, 1, 1 << 30)
    assert (asked.directory, asked.environment) == ("/tmp", {"SAID": "hello"})
    assert asked.options == {"ray.labels": "tier=central"}
    assert [note.split(":")[0] for note in asked.notes] == ["metadata", "runtime_env.excludes"]


def test_an_entry_point_is_a_line_for_a_shell():
    asked = ray.job("python train.py --lr 1e-3 > log.json")
    assert asked.command == ("/bin/bash", "-c", "python train.py --lr 1e-3 > log.json")
    assert (asked.cpus, asked.devices) == (1.0, 0)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("entrypoint", "", "nothing to run"),
        ("entrypoint_num_gpus", 0.5, "a part of a device"),
        ("entrypoint_num_cpus", -1, "not an amount"),
        ("entrypoint_memory", True, "not an amount"),
        ("entrypoint_label_selector", {"tier": "!in(edge)"}, "not a plain label"),
        ("runtime_env", {"pip": ["torch"]}, "nothing is installed for one job"),
        ("runtime_env", {"working_dir": "s3://bucket/code.zip"}, "nothing here fetches this"),
        ("runtime_env", {"env_vars": {"A=B": "x"}}, "not a variable's name"),
        ("runtime_env", {"wrokdir": "/tmp"}, "unknown field"),
        ("entry_point", "x", "unknown field"),
    ],
)
def test_what_nobody_here_keeps_is_refused_by_its_path(tmp_path, field, value, told):
    with pytest.raises(InvalidInput) as wrong:
        ray.job(written(tmp_path, **{field: value}))
    assert told in str(wrong.value)
    assert "job.json:1: " in str(wrong.value)
    assert field in str(wrong.value)


def told(home, *words, code=0):
    done = CliRunner().invoke(helio, [*words, "--home", str(home)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_helio_run_takes_it_and_ends_as_it_did(home, tmp_path):
    done = told(home, "run", "--now", "--length", "5s", "--json", "--ray", written(tmp_path), code=3)
    result = json.loads(done.stdout)
    assert (result["state"], result["exit_code"]) == ("failed", 3)
    assert "metadata: not kept" in done.stderr
    assert told(home, "logs", result["job"]).stdout == "hello\n/tmp\n"


def test_helio_run_takes_a_job_manifest_with_an_index_for_each(home, tmp_path):
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "sweep"},
        "spec": {
            "completions": 2,
            "parallelism": 2,
            "completionMode": "Indexed",
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "c", "image": "x", "command": ["sh", "-c", "echo $JOB_COMPLETION_INDEX"]}],
                }
            },
        },
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job))
    done = told(home, "run", "--now", "--length", "5s", "--json", "--manifest", str(path))
    names = [json.loads(line)["job"] for line in done.stdout.splitlines()]
    assert [told(home, "logs", name).stdout for name in names] == ["0\n", "1\n"]
    assert run_view(Store.at(home), names[0]).workload.engine_options["kubernetes.image"] == "x"


def test_helio_submit_takes_an_entry_point(home):
    told(home, "submit", "--ray", "python3 -c 'print(1)'", "--within", "24h", "--length", "1h")
    (row,) = jobs(Store.at(home))
    assert row.command == ("/bin/bash", "-c", "python3 -c 'print(1)'")
    assert told(home, "submit", code=1).exit_code == 1
    nothing = CliRunner().invoke(helio, ["run", "--home", str(home)])
    assert "nothing to run" in str(nothing.exception)
