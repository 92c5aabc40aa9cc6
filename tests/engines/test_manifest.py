"""Kubernetes Jobs as they are: what a job becomes, what is named, what is refused and where; nothing breaks it."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreign import taken_or_named
from heliotrope.cli.root import helio
from heliotrope.config import Settings
from heliotrope.errors import InvalidInput, MissingExtra
from heliotrope.run import Controller
from heliotrope.run.engines.kubernetes import KubernetesSettings, manifest
from heliotrope.run.engines.protocol import Task
from heliotrope.run.imports import document
from heliotrope.run.imports.document import Value
from heliotrope.run.imports.kubernetes.job import jobs
from heliotrope.run.imports.kubernetes.values import expanded, quantity

TRAINING = """\
# What a lab sends to its cluster.
apiVersion: batch/v1
kind: Job
metadata:
  generateName: resnet-
  labels: {app: resnet, team: vision, kueue.x-k8s.io/queue-name: green}
spec:
  suspend: true
  parallelism: 3
  completions: 3
  completionMode: Indexed
  activeDeadlineSeconds: 7200
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {gpu: h100}
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      volumes: [{name: shm, emptyDir: {medium: Memory}}]
      containers:
        - name: train
          image: registry.example.org/resnet:3
          command: [python, train.py]
          args: ["--data=$(DATA)", "$(UNKNOWN)", "$$(DATA)"]
          workingDir: /data/resnet
          env:
            - {name: DATA, value: /data/imagenet}
            - {name: LOG, value: $(DATA)/log}
          resources:
            requests: {cpu: 500m, memory: 2Gi}
            limits: {memory: 4Gi, nvidia.com/gpu: 2}
          volumeMounts: [{name: shm, mountPath: /dev/shm}]
"""


@pytest.fixture
def of(tmp_path):
    def read(text, name="job.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return jobs(path)

    return read


def plain(changes=None, **container):
    one = {"name": "c", "command": ["true"]} | container
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [one]}}} | (changes or {})
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}, indent=1)


def test_a_training_as_a_lab_sends_it(of):
    (job,) = of(TRAINING)
    assert (job.name, job.directory, job.limit_s) == ("resnet", "/data/resnet", 7200)
    assert job.command == ("python", "train.py", "--data=/data/imagenet", "$(UNKNOWN)", "$(DATA)")
    assert job.environment == {"DATA": "/data/imagenet", "LOG": "/data/imagenet/log"}
    assert (job.cpus, job.devices, job.memory_bytes) == (0.5, 2, 4 << 30)
    assert (job.array, job.index_variable) == ((0, 1, 2), "JOB_COMPLETION_INDEX")
    assert job.options == {
        "kubernetes.image": "registry.example.org/resnet:3",
        "kubernetes.queue": "green",
        "kubernetes.labels": "gpu=h100",
        "kubernetes.marks": "app=resnet,team=vision",
    }
    noted = "\n".join(job.notes)
    for path in ("spec.template.spec.tolerations", "containers[0].image", "activeDeadlineSeconds", "/dev/shm"):
        assert path in noted


def test_what_it_becomes_is_what_a_cluster_is_sent_again(of):
    (job,) = of(TRAINING)
    task = Task(
        handle="/shared/1/0",
        command=job.command,
        working_directory=job.directory,
        environment=job.environment,
        checkpoint="/shared/c",
        interval_s=1.0,
        memory_bytes=job.memory_bytes,
        cpus=job.cpus,
        devices=job.devices,
        options=job.options,
    )
    sent = manifest("helio-1", task, KubernetesSettings(image="ours:1", claim="shared"))
    assert sent["spec"]["suspend"] is True
    assert sent["metadata"]["labels"] == {
        "app": "resnet",
        "team": "vision",
        "app.kubernetes.io/managed-by": "heliotrope",
        "kueue.x-k8s.io/queue-name": "green",
    }
    pod = sent["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"gpu": "h100"}
    assert pod["containers"][0]["resources"]["requests"] == {
        "cpu": "0.5",
        "memory": str(4 << 30),
        "nvidia.com/gpu": "2",
    }


def test_documents_and_lists_hold_several(of):
    two = TRAINING + "---\n" + TRAINING.replace("resnet-", "second-") + "---\n"
    assert [job.name for job in of(two)] == ["resnet", "second"]
    one = json.loads(plain())
    assert len(of(json.dumps({"apiVersion": "v1", "kind": "List", "items": [one, one]}))) == 2


def test_json_needs_no_parser_and_yaml_says_which(of, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert of(plain(), "job.json")[0].command == ("true",)
    with pytest.raises(MissingExtra) as caught:
        of(TRAINING)
    assert "heliotrope[yaml]" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "bytes_or_cpus"),
    [
        ("500m", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        (4, 4),
        ("128Mi", 128 << 20),
        ("4Gi", 4 << 30),
        ("4G", 4 * 10**9),
        ("1.5Gi", 3 << 29),
        ("1e3", 1000),
        ("2k", 2000),
        ("129e6", 129_000_000),
        ("1E", 10**18),
    ],
)
def test_quantities_mean_what_kubernetes_means(text, bytes_or_cpus):
    assert quantity(Value("f", 1, "p", text)) == bytes_or_cpus


@given(st.integers(0, 10**6))
def test_a_thousand_milli_is_one(count):
    assert quantity(Value("f", 1, "p", f"{count * 1000}m")) == quantity(Value("f", 1, "p", str(count)))
    assert quantity(Value("f", 1, "p", f"{count}Gi")) == quantity(Value("f", 1, "p", f"{count * 1024}Mi"))


@given(st.text(max_size=30))
def test_text_without_references_stays(text):
    assert expanded(text.replace("$", "§"), {"A": "b"}) == text.replace("$", "§")


def pod(**changes):
    return {"template": {"spec": {"containers": [{"name": "c", "command": ["true"]}]} | changes}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (plain(command=[]), "spec.template.spec.containers[0].command: no command"),
        (plain(args=[1]), "containers[0].args[0]: not text"),
        (plain(envFrom=[{"secretRef": {"name": "s"}}]), "containers[0].envFrom: nothing here can keep this"),
        (plain(env=[{"name": "A", "valueFrom": {"x": 1}}]), "env[0].valueFrom: nothing here can keep this"),
        (plain(env=[{"name": "A", "value": 1}]), "env[0].value: not text"),
        (plain(resources={"limits": {"cpu": "much"}}), "limits.cpu: not a quantity"),
        (plain(resources={"limits": {"cpu": 0}}), "limits.cpu: work needs some CPU"),
        (plain(resources={"limits": {"cpu": 1}, "requests": {"cpu": 2}}), "limits.cpu: less than is requested"),
        (plain(resources={"limits": {"nvidia.com/mig-1g.5gb": 1}}), "nvidia.com/mig-1g.5gb: nothing here can keep"),
        (plain(resources={"limits": {"nvidia.com/gpu": "500m"}}), "nvidia.com/gpu: not a number of devices"),
        (plain(resources={"limits": {"nvidia.com/gpu": 1, "amd.com/gpu": 1}}), "amd.com/gpu: devices of two kinds"),
        (plain(comand=["x"]), "containers[0].comand: unknown field"),
        (plain({"completions": 4}), "spec.completions: 1 at once of 4"),
        (plain({"completions": 4, "parallelism": 2}), "spec.parallelism: 2 at once of 4"),
        (plain({"completions": 10**9}), "spec.completions: too many"),
        (plain({"parallelism": 0}), "spec.parallelism: nothing would ever begin"),
        (plain({"completionMode": "Indexed"}), "spec.completionMode: Indexed without completions"),
        (plain({"activeDeadlineSeconds": "2h"}), "spec.activeDeadlineSeconds: not a whole number"),
        (plain({"suspend": "yes"}), "spec.suspend: neither true nor false"),
        (plain({"podFailurePolicy": {"rules": [1]}}), "spec.podFailurePolicy: nothing here can keep"),
        (plain(pod(initContainers=[{"name": "i"}])), "spec.initContainers: nothing here can keep"),
        (plain(pod(volumes=[{"name": "d", "hostPath": {"path": "/"}}])), "volumes[0]: nothing here can mount"),
        (plain(pod(containers=[{}, {}])), "spec.containers[1]: not one container"),
        (plain(pod(containers={})), "spec.containers: not a list"),
        (plain(pod(restartPolicy="Always")), "spec.restartPolicy: not for a Job"),
        (plain({"template": None}), "spec: a Job without a template"),
        (TRAINING.replace("kind: Job", "kind: CronJob"), "job.yaml:3: kind: not a Job"),
        (TRAINING.replace("batch/v1", "batch/v1beta1"), "job.yaml:2: apiVersion: not a batch/v1"),
        (
            TRAINING.replace("  suspend: true", "  suspend: true\n  suspend: false"),
            "job.yaml:9: spec.suspend: told twice",
        ),
        (
            TRAINING.replace("suspend: true", "suspend: !!python/name:os.system x"),
            "job.yaml:8: spec.suspend: only plain",
        ),
        (TRAINING.replace("suspend: true", "suspend: [true"), "job.yaml:9: not YAML"),
        (TRAINING.replace("suspend: true", "<<: {suspend: true}"), "job.yaml:8: spec: merging"),
        ('{"kind": "Job",\n "kind": "Job"}', "job.yaml:2: kind: told twice"),
        ('{"kind": "Job",\n "spec": }', "job.yaml:2: not JSON"),
        ('{"kind": "Job"} x', "job.yaml:1: something follows"),
        ('{"a": ' * 60, "nested too deep"),
        ("a: " + "[" * 5000, "job.yaml: nested too deep"),
        (plain(args=["\ud800"]), "args[0]: text that no program can be given"),
        (plain(args=["a\0b"]), "args[0]: text that no program can be given"),
        (plain(args=["é\ud800"]).replace("{", "# YAML\n{", 1), "args[0]: text that no program can be given"),
        ('{"\\u001b[2J": 1}', "job.yaml:1: not a key"),
        ('"\\ud800": 1', "job.yaml:1: not a key"),
        ("? [a]\n: 1", "job.yaml:1: not a key"),
        ("", "job.yaml:1: the file is empty"),
        ("- 1", "job.yaml:1: not fields"),
        ("just a word", "job.yaml:1: not fields"),
        ("a: &x [*x]\n", "nested too deep"),
        ("a: \x07", "not YAML"),
        ("x" * 300_000, "too large"),
    ],
)
def test_what_is_wrong_is_named_by_file_line_and_field(of, text, said):
    with pytest.raises(InvalidInput) as caught:
        of(text)
    assert said in caught.value.what


def test_a_bomb_of_anchors_is_no_more_than_bad_input(of):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(InvalidInput, match="more values than anybody writes"):
        of("\n".join(lines))


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "latin").write_bytes(b"a: \xff")
    for name in ("none.yaml", "latin", "."):
        with pytest.raises(InvalidInput, match="cannot be read"):
            jobs(tmp_path / name)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["500m", "1Gi"])
)
anything = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_anywhere_is_taken_or_named(tmp_path_factory, data):
    import yaml

    whole = {"x": yaml.safe_load(TRAINING)}
    path = data.draw(st.sampled_from(list(places(whole))[1:]))
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = data.draw(anything)
    file = tmp_path_factory.mktemp("any") / "job"
    file.write_text(data.draw(st.sampled_from([json.dumps, yaml.safe_dump]))(whole["x"]), errors="replace")
    for asked in taken_or_named(jobs, file) or ():
        assert asked.command
        assert all(isinstance(word, str) for word in asked.command)
        assert asked.cpus > 0
        assert asked.devices >= 0


@given(st.text(alphabet=st.sampled_from(list("{}[]:,-&*!|>'\"#%@` \nab1.~\t\\")) | st.characters(), max_size=60))
@settings(deadline=None)
def test_no_text_breaks_the_reader(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("any") / "job"
    file.write_text(text, errors="replace", newline="")
    for value in taken_or_named(document.read, file) or ():
        assert value.file == str(file)
        assert 1 <= value.line <= len(text.splitlines()) + 1


@given(anything)
@settings(deadline=None)
def test_json_reads_as_the_library_reads_it(tmp_path_factory, value):
    def bare(one):
        what = one.what
        if isinstance(what, dict):
            return {key: bare(child) for key, child in what.items()}
        return [bare(child) for child in what] if isinstance(what, list) else what

    text = json.dumps([value], indent=1)
    file = tmp_path_factory.mktemp("any") / "some.json"
    file.write_text(text)
    whole = taken_or_named(document.read, file)
    assert whole is None or bare(whole[0]) == json.loads(text)


def submit(home, *words):
    return CliRunner().invoke(helio, ["submit", "--home", str(home), "--zone", "DE", *words], catch_exceptions=False)


def test_a_manifest_is_submitted_and_every_index_runs(tmp_path, home, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = 'echo "$JOB_COMPLETION_INDEX of $WORD" >> ran'
    text = plain(
        {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "ttlSecondsAfterFinished": 60},
    ).replace('"true"', f'"sh", "-c", {json.dumps(script)}')
    text = text.replace('"name": "c"', '"name": "c", "env": [{"name": "WORD", "value": "crops"}]')
    Path("job.json").write_text(text)
    told = submit(home, "--now", "--json", "--length", "5s", "--manifest", "job.json")
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [row["task"] for row in rows] == [0, 1]
    assert "spec.ttlSecondsAfterFinished" in told.stderr
    assert "spec.ttlSecondsAfterFinished" in rows[0]["notes"][0]
    controller = Controller(Settings(home=str(home), zone="DE"))
    try:
        for row in rows:
            assert controller.follow(row["job"], lambda *_: None).state.value == "done"
    finally:
        controller.close()
    assert sorted(Path("ran").read_text().splitlines()) == ["0 of crops", "1 of crops"]


def test_one_file_at_a_time(tmp_path, home):
    for words in ((), ("--sbatch", "a", "--manifest", "b"), ("--manifest", "b", "an-argument")):
        told = CliRunner().invoke(helio, ["submit", "--home", str(home), "--zone", "DE", *words])
        assert told.exit_code != 0
        assert told.stdout == ""
