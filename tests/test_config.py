"""Settings: a misspelt key names the one that was meant; nothing is half believed."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from conftest import ROOT
from heliotrope import config
from heliotrope.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("flet = 'a.toml'", "unknown key flet.*did you mean fleet"),
        ("[grid]\nprovidres = []", r"unknown key grid\.providres.*did you mean providers"),
        ("[measure]\ninterval_s = 0", r"\$\.measure\.interval_s"),
        ("[web]\nport = 70000", r"\$\.web\.port"),
        ("[plan]\nstep_s = 'soon'", r"\$\.plan\.step_s"),
        ("grid = [", "not TOML"),
    ],
)
def test_bad_settings_say_where_and_what(tmp_path, text, says):
    with pytest.raises(ConfigError) as caught:
        config.load(str(write(tmp_path, text)))
    assert re.search(says, str(caught.value), re.DOTALL)
    assert "config.toml" in str(caught.value)


def test_a_config_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        config.load(str(tmp_path / "none.toml"))


def test_home_by_option_then_environment_then_file(tmp_path, monkeypatch):
    path = write(tmp_path, f"home = '{tmp_path / 'from_file'}'")
    monkeypatch.delenv("HELIO_HOME", raising=False)
    assert config.load(str(path)).home_path == tmp_path / "from_file"
    monkeypatch.setenv("HELIO_HOME", str(tmp_path / "from_env"))
    assert config.load(str(path)).home_path == tmp_path / "from_env"
    assert config.load(str(path), str(tmp_path / "option")).home_path == tmp_path / "option"


def test_no_file_is_the_defaults(tmp_path, monkeypatch):
    monkeypatch.setenv("HELIO_HOME", str(tmp_path))
    settings = config.load()
    assert settings == msgspec.structs.replace(config.Settings(), home=str(tmp_path))


def _keys(struct, prefix=""):
    for field in msgspec.structs.fields(struct):
        inner = field.type
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from _keys(inner, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    missing = [key for key in _keys(config.Settings) if f"`{key}`" not in text]
    assert not missing


def test_home_is_absolute(monkeypatch):
    monkeypatch.delenv("HELIO_HOME", raising=False)
    assert config.load(None, "some/where").home_path == Path.cwd() / "some" / "where"
