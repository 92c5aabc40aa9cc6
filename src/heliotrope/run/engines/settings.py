"""Options of a fleet file, or of one work, as an engine's own settings: what is wrong is named by its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from heliotrope.errors import InvalidInput, nearest

S = TypeVar("S", bound=msgspec.Struct)
Options = Mapping[str, str | bool | int | float]


def settings(kind: type[S], options: Options, where: str = "engine_options") -> S:
    names = kind.__struct_fields__
    for key, value in options.items():
        if key not in names:
            hint = nearest(key, names) if names else "this engine takes no options"
            raise InvalidInput(f"unknown option {key}", field=f"{where}.{key}", found=value, hint=hint)
    try:
        return msgspec.convert(dict(options), kind, strict=False)
    except msgspec.ValidationError as error:
        what, _, at = str(error).partition(" - at ")
        field = at.strip("`").removeprefix("$.")
        raise InvalidInput(what, field=f"{where}.{field}".rstrip("."), found=options.get(field)) from error


def of_work(kind: type[S], engine: str, options: Mapping[str, str]) -> S:
    """Those of a work's options that are for this engine."""
    prefix = f"{engine}."
    return settings(
        kind,
        {k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix)},
        f"engine_options: {engine}",
    )


def pairs(text: str, field: str) -> dict[str, str]:
    """`a=1,b=2`"""
    found = dict(part.partition("=")[::2] for part in text.split(",") if part)
    if not all(found) or not all(found.values()):
        raise InvalidInput("not labels", field=f"engine_options.{field}", found=text, allowed="name=value,name=value")
    return found
