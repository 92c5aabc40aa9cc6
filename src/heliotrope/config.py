"""Settings: one table, read from TOML, the environment and the command line, in that order of rising strength."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from heliotrope.errors import ConfigError, nearest


class GridSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where signals come from. `providers`: tried in order. `files`: zone series on disk for the `file` provider."""

    providers: tuple[str, ...] = ("model",)
    kind: str = "carbon/average/lifecycle"
    files: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


class MeasureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds between samples; meters by name, empty for every one that works here."""

    interval_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    meters: tuple[str, ...] = ()


class PlanSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far ahead plans look, and in what steps."""

    horizon_s: Annotated[float, msgspec.Meta(gt=0)] = 96 * 3600.0
    step_s: Annotated[int, msgspec.Meta(gt=0)] = 300


class ProveSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log's name is in every checkpoint; witnesses are asked for cosignatures; auditors' keys are believed."""

    origin: str = "heliotrope.local/log"
    witnesses: tuple[str, ...] = ()
    quorum: Annotated[int, msgspec.Meta(ge=0)] = 0
    auditors: tuple[str, ...] = ()


class ChainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where checkpoints are anchored and claims minted. Keys are never settings: they come from the environment.

    `rpc` empty: the chain embedded in this process. Witnesses and auditors matter when a contract is deployed.
    """

    rpc: str = ""
    contract: str = ""
    confirmations: Annotated[int, msgspec.Meta(ge=0)] = 2
    witnesses: tuple[str, ...] = ()
    witness_quorum: Annotated[int, msgspec.Meta(ge=0)] = 0
    auditors: tuple[str, ...] = ()
    auditor_quorum: Annotated[int, msgspec.Meta(ge=0)] = 0


class ClaimSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The programme that work with a deadline is entered in; empty for none. `auditors`: `NAME URL` of who draws.

    `marginal`: the kind of signal that the marginal saving is reckoned by.
    """

    programme: str = ""
    marginal: str = "carbon/marginal/direct"
    auditors: tuple[str, ...] = ()


class AgentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Agents of sites elsewhere: how often they ask, and after how long cut off they have ended what they run.

    `state_bytes`: what one work may have saved, to be carried by way of this house.
    """

    sync_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    lease_s: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    state_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1 << 38


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Empty: a file in the home. Else a PostgreSQL that every controller of this home reaches."""

    url: Annotated[str, msgspec.Meta(pattern=r"^(postgres(ql)?://.+)?$")] = ""


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Loopback unless told otherwise. `cert`, `key`: PEM files; with both it speaks TLS, and nothing else."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8550
    cert: str = ""
    key: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`fleet`: a fleet file; empty means this machine alone, in `zone`."""

    home: str = ""
    fleet: str = ""
    zone: str = ""
    organisation: str = "me"
    grid: GridSettings = GridSettings()
    measure: MeasureSettings = MeasureSettings()
    plan: PlanSettings = PlanSettings()
    prove: ProveSettings = ProveSettings()
    chain: ChainSettings = ChainSettings()
    claims: ClaimSettings = ClaimSettings()
    agents: AgentSettings = AgentSettings()
    store: StoreSettings = StoreSettings()
    web: WebSettings = WebSettings()

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser()


def load(config: str | None = None, home: str | None = None) -> Settings:
    """`--home` over HELIO_HOME over the file's `home` over ~/.heliotrope; `--config` over HOME/config.toml."""
    stated_home = home or os.environ.get("HELIO_HOME") or ""
    path = Path(config or f"{stated_home or '~/.heliotrope'}/config.toml").expanduser()
    settings = Settings()
    if config or path.is_file():
        settings = read(path)
    final_home = stated_home or settings.home or "~/.heliotrope"
    return msgspec.structs.replace(settings, home=str(Path(final_home).expanduser().absolute()))


def read(path: Path) -> Settings:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read", cause=str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML", cause=str(error)) from error
    _refuse_unknown(path, tree, Settings, "")
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}", hint="docs/configuration.md lists every key with its default") from error


def _refuse_unknown(path: Path, tree: dict[str, Any], struct: type[msgspec.Struct], prefix: str) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
    for key, value in tree.items():
        if key not in fields:
            raise ConfigError(f"{path}: unknown key {prefix}{key}", hint=nearest(key, fields))
        inner = fields[key]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown(path, value, inner, f"{prefix}{key}.")
