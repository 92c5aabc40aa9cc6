"""The front door: light to import, quick to answer, every public name meant, no print in the house."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys

import heliotrope
from conftest import ROOT

HEAVY = {
    "numpy", "aiohttp", "rich", "jinja2", "highspy", "nacl", "rfc8785", "numba", "torch", "asyncio",
    "pyarrow", "duckdb", "lightgbm", "web3", "sqlite3", "ssl", "http",
}  # fmt: skip


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nimport json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_loads_nothing_heavy():
    assert not _modules_after("import heliotrope") & HEAVY


def test_importing_loads_few_modules():
    added = _modules_after("import heliotrope") - _modules_after("pass")
    assert len(added) <= 15, sorted(added)


def test_help_loads_no_room():
    loaded = _modules_after(
        "from heliotrope.cli import main\nimport contextlib, io\nsys.argv=['helio', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()"
    )
    assert not loaded & (HEAVY - {"ssl", "http"})


def test_public_names_are_meant():
    assert heliotrope.__all__ == ["HelioError", "__version__", "checkpoint", "measure", "measured", "plan"]
    for name in heliotrope.__all__:
        assert getattr(heliotrope, name) is not None
    assert set(dir(heliotrope)) == set(heliotrope.__all__)


def test_every_listed_command_exists():
    from heliotrope.cli.root import SECTIONS, helio

    for section in SECTIONS.values():
        for name in section:
            command = helio.get_command(None, name)
            assert command is not None, name
            assert command.name == name
            assert command.help, f"{name} says nothing of itself"


def _python_files():
    return sorted((ROOT / "src").rglob("*.py"))


def test_every_room_says_in_one_line_why_it_exists():
    for path in _python_files():
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert doc, f"{path} has no docstring"


def test_nothing_in_the_house_prints():
    for path in _python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id
            assert called != "print", f"{path}:{node.lineno}"


def test_modules_stay_small():
    long = {str(p): n for p in _python_files() if (n := p.read_text(encoding="utf-8").count("\n")) > 500}
    assert not long


def test_an_unknown_command_names_its_nearest():
    done = subprocess.run([sys.executable, "-m", "heliotrope", "gird"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.search(r"error: no such command: gird\s+hint: did you mean grid", done.stderr)


def test_the_error_tree_in_the_docstring_is_the_tree():
    """The drawing at the top of errors.py names every class, under its parent."""
    from heliotrope import errors

    drawn = re.findall(r"^([│ ├└─]*)(\w+) {2,}", errors.__doc__, flags=re.MULTILINE)
    stack: list[str] = []
    parents = {}
    for indent, name in drawn:
        depth = len(indent) // 4
        del stack[depth:]
        parents[name] = stack[-1] if stack else None
        stack.append(name)
    real = {
        c.__name__: c.__base__.__name__
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.HelioError)
    }
    assert set(parents) == set(real)
    for name, parent in parents.items():
        assert parent is None or real[name] == parent, name
