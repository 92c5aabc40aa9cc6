"""Reads a fleet file, TOML: a `[[site]]` each, a `[[link]]` for each way between two, and the terms of sharing."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from heliotrope.errors import InvalidInput, nearest
from heliotrope.fleet.fleet import Fleet, completed, this_machine
from heliotrope.fleet.shares import Organisation, Share, Sharing
from heliotrope.model import Link, Site
from heliotrope.model.workload import NonNegative, Positive
from heliotrope.units import S_PER_HOUR

EXAMPLE = "example"


class _Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A link that reads the same from both ends."""

    between: Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=2)]
    latency_ms: NonNegative
    bandwidth_bps: Positive = 1e9
    power_w_per_bps: NonNegative = 3e-8


class _Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The terms of sharing; hours, as people write them."""

    reserve: Share = 0.0
    half_life_hours: Positive = 168.0
    grace_s: NonNegative = 60.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    site: tuple[Site, ...]
    home: str = ""
    link: tuple[_Way, ...] = ()
    organisation: tuple[Organisation, ...] = ()
    sharing: _Terms = _Terms()


def load(path: str | Path | None, *, zone: str = "") -> Fleet:
    """The fleet of a file; `example` is the packaged one; nothing is this machine alone, in `zone`."""
    if not path:
        return this_machine(zone)
    if path == EXAMPLE:
        return example()
    source = Path(path).expanduser()
    try:
        return _fleet(source.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise InvalidInput(
            "no such fleet file", file=str(path), hint="write one, or take the packaged one: --fleet example"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the fleet file cannot be read", file=str(path), cause=str(error)) from error


def example() -> Fleet:
    """Six sites in six countries, all emulated on this machine."""
    return _fleet(files(__package__).joinpath("example.toml").read_text(encoding="utf-8"), "example.toml")


def _fleet(text: str, file: str) -> Fleet:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("not TOML", file=file, cause=str(error)) from error
    _refuse_unknown(tree, _File, file, "")
    try:
        read = msgspec.convert(tree, _File)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at ")
        raise InvalidInput(what, file=file, field=at.strip("`").removeprefix("$.")) from error
    if not read.site:
        raise InvalidInput("a fleet needs at least one site", file=file, field="site", hint="add a [[site]] table")
    names = [site.name for site in read.site]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput("two sites have one name", file=file, field="site.name", found=name)
    if read.home:
        _known(read.home, names, file, "home")
    for site in read.site:
        for link in site.links:
            _known(link.to, names, file, f"site {site.name}: links.to")
    sites = tuple(_linked(completed(site), read.link, names, file) for site in read.site)
    return Fleet(sites, home=read.home or names[0], sharing=_sharing(read, names, file))


def _sharing(read: _File, names: list[str], file: str) -> Sharing:
    """Nobody owns what does not exist, or what another has already."""
    known = [organisation.name for organisation in read.organisation]
    for organisation in read.organisation:
        field = f"organisation {organisation.name}"
        if known.count(organisation.name) > 1:
            raise InvalidInput("two organisations have one name", file=file, field=field)
        if "/" in organisation.name or any("/" in project.name for project in organisation.projects):
            raise InvalidInput("a name with a slash", file=file, field=field, hint="the slash parts projects off")
        for site in organisation.owns:
            _known(site, names, file, f"{field}: owns")
        for other in organisation.lends_only_to:
            _known(other, known, file, f"{field}: lends_only_to", what="organisation")
    for site in names:
        whole = sum(organisation.owns.get(site, 0.0) for organisation in read.organisation)
        if whole > 1 + 1e-9:
            raise InvalidInput(
                f"{site} is owned more than once", file=file, field="organisation: owns", found=f"{whole:g} of it",
                allowed="shares that add up to 1 at most",
            )  # fmt: skip
    terms = read.sharing
    return Sharing(read.organisation, terms.reserve, terms.half_life_hours * S_PER_HOUR, terms.grace_s)


def _linked(site: Site, ways: tuple[_Way, ...], names: list[str], file: str) -> Site:
    links = list(site.links)
    for way in ways:
        for end in way.between:
            _known(end, names, file, "link.between")
        if site.name in way.between:
            to = way.between[1] if way.between[0] == site.name else way.between[0]
            links.append(Link(to, way.latency_ms, way.bandwidth_bps, way.power_w_per_bps))
    return msgspec.structs.replace(site, links=tuple(links))


def _known(name: str, names: list[str], file: str, field: str, what: str = "site") -> None:
    if name not in names:
        raise InvalidInput(f"no {what} has that name", file=file, field=field, found=name, hint=nearest(name, names))


def _refuse_unknown(tree: dict[str, Any], struct: type[msgspec.Struct], file: str, prefix: str) -> None:
    """Walks the tables beside their structs; a misspelt key's error says which key is near."""
    hints = get_type_hints(struct)
    for key, value in tree.items():
        if key not in hints:
            raise InvalidInput(f"unknown key {key}", file=file, field=prefix + key, hint=nearest(key, hints))
        inner = _struct_in(hints[key])
        if inner is None:
            continue
        rows = value if isinstance(value, list) else [value]
        for i, row in enumerate(rows):
            if isinstance(row, dict):
                label = f"{prefix}{key}[{i}]" if isinstance(value, list) else prefix + key
                if isinstance(row.get("name"), str):
                    label = f"{prefix}{key} {row['name']}"
                _refuse_unknown(row, inner, file, f"{label}: ")


def _struct_in(hint: Any) -> type[msgspec.Struct] | None:
    """The struct a field holds, alone, optional or in a tuple."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if get_origin(hint) is not None:
        for part in get_args(hint):
            found = _struct_in(part)
            if found is not None:
                return found
    return None
