"""A YAML or JSON file as values that know where they stand, so that whatever is wrong is named by file, line and field.

Only plain data is read: no tags that make objects, no key twice, and no more than a person would write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from heliotrope.errors import InvalidInput, MissingExtra, nearest

if TYPE_CHECKING:
    import yaml

LARGEST_BYTES = 256 * 1024
DEEPEST = 40
MOST_VALUES = 20_000  # what aliases repeat counts again
STRING = json.JSONDecoder()
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
SPACE = re.compile(r"[ \t\r\n]*")
WORDS = {"true": True, "false": False, "null": None}
# What YAML 1.2 and the tools of Kubernetes take for a number; `1:30` and `012` stay text.
WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
REAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")


class Value(msgspec.Struct, frozen=True):
    """`what`: text, a number, true or false, nothing, a list of Values, or Values by key."""

    file: str
    line: int
    path: str
    what: Any

    def wrong(
        self, what: str, *, allowed: str = "", hint: str = "", cause: str = "", found: object = None
    ) -> Exception:
        shown = self.what if found is None and not isinstance(self.what, list | dict) else found
        shown = shown[:80] if isinstance(shown, str) else shown
        return InvalidInput(
            what, file=self.file, line=self.line, field=self.path, found=shown, allowed=allowed, hint=hint, cause=cause
        )

    @property
    def empty(self) -> bool:
        return self.what is None or self.what in ("", [], {})

    def fields(self) -> dict[str, Value]:
        if not isinstance(self.what, dict):
            raise self.wrong("not fields", found=_kind(self.what), allowed="name: value")
        return self.what

    def items(self) -> list[Value]:
        if not isinstance(self.what, list):
            raise self.wrong("not a list", found=_kind(self.what), allowed="a list")
        return self.what

    def says(self, *words: str) -> bool:
        return isinstance(self.what, str) and self.what in words

    def text(self) -> str:
        if not isinstance(self.what, str):
            raise self.wrong("not text", found=_kind(self.what), allowed="text; numbers and true need quotes")
        if "\0" in self.what or any("\ud800" <= letter <= "\udfff" for letter in self.what):
            raise self.wrong("text that no program can be given", allowed="no zero byte, no half of a character")
        return self.what

    def name(self) -> str:
        if not self.text().strip() or not self.text().isprintable():
            raise self.wrong("not a name", allowed="some letters, on one line")
        return self.text()

    def scalar(self) -> str:
        """Text or a number, as it is written on a command line."""
        if isinstance(self.what, bool) or not isinstance(self.what, str | int | float):
            raise self.wrong("neither text nor a number", found=_kind(self.what))
        return str(self.what) if not isinstance(self.what, str) else self.text()

    def whole(self, least: int) -> int:
        if isinstance(self.what, bool) or not isinstance(self.what, int) or not least <= self.what < 1 << 31:
            raise self.wrong("not a whole number", found=_kind(self.what), allowed=f"a whole number, {least} or more")
        return self.what

    def yes(self) -> bool:
        if not isinstance(self.what, bool):
            raise self.wrong("neither true nor false", found=_kind(self.what), allowed="true, false")
        return self.what


def _kind(what: Any) -> object:
    """Found, as far as it is worth showing."""
    return (
        "fields"
        if isinstance(what, dict)
        else "a list"
        if isinstance(what, list)
        else "nothing"
        if what is None
        else what
    )


def sort_out(
    value: Value,
    notes: list[str],
    *,
    taken: frozenset[str],
    passed: Mapping[str, str] | None = None,
    refused: Mapping[str, str] | None = None,
) -> dict[str, Value]:
    """The fields that are taken. Those passed over are noted, with the reason; others stop it, and so do unknown."""
    passed, refused = passed or {}, refused or {}
    kept = {}
    for key, one in value.fields().items():
        if key in taken:
            if one.what is not None:
                kept[key] = one
        elif key in passed:
            if not one.empty:
                notes.append(f"{one.path}: not kept; {passed[key]}")
        elif key in refused:
            if not one.empty:
                raise one.wrong("nothing here can keep this", cause=refused[key], found=_kind(one.what))
        else:
            raise one.wrong("unknown field", found=key, hint=nearest(key, taken | set(passed) | set(refused)))
    return kept


def read(path: Path) -> list[Value]:
    """Every document of the file; JSON by its first character, so that it needs no more than the core."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("the file cannot be read", file=file, cause=str(error)) from error
    if len(data) > LARGEST_BYTES:
        raise InvalidInput("the file is too large", file=file, allowed=f"up to {LARGEST_BYTES // 1024} KiB")
    documents = [_Json(file, text).document()] if text.lstrip()[:1] in {"{", "["} else _yaml(file, text)
    found = [one for one in documents if one.what is not None]
    if not found:
        raise InvalidInput("the file is empty", file=file, line=1)
    return found


class _Json:
    """By hand, as the library's own reader does not tell where a value stands."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.at = file, text, 0

    def document(self) -> Value:
        value = self._value("", 0)
        self._skip()
        if self.at < len(self.text):
            raise self._wrong("something follows the document")
        return value

    def _value(self, path: str, depth: int) -> Value:
        self._skip()
        line = self._line()
        if depth > DEEPEST:
            raise self._wrong("nested too deep")
        first = self.text[self.at : self.at + 1]
        if first == "{":
            return Value(self.file, line, path, self._fields(path, depth))
        if first == "[":
            return Value(self.file, line, path, self._items(path, depth))
        if first == '"':
            return Value(self.file, line, path, self._text())
        if number := NUMBER.match(self.text, self.at):
            self.at = number.end()
            return Value(
                self.file, line, path, _number(number[0], whole=not (number[1] or number[2]), wrong=self._wrong)
            )
        for word, meant in WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return Value(self.file, line, path, meant)
        raise self._wrong("not JSON")

    def _fields(self, path: str, depth: int) -> dict[str, Value]:
        fields: dict[str, Value] = {}
        while self._more("{", "}", bool(fields)):
            if self.text[self.at : self.at + 1] != '"':
                raise self._wrong("not JSON: a key in quotes is missing")
            line, key = self._line(), self._text()
            if not key.isprintable():
                raise InvalidInput("not a key", file=self.file, line=line, field=path, found=key[:40])
            if key in fields:
                raise InvalidInput("told twice", file=self.file, line=line, field=_join(path, key))
            self._skip()
            if self.text[self.at : self.at + 1] != ":":
                raise self._wrong("not JSON: a colon is missing")
            self.at += 1
            fields[key] = self._value(_join(path, key), depth + 1)
        return fields

    def _items(self, path: str, depth: int) -> list[Value]:
        items: list[Value] = []
        while self._more("[", "]", bool(items)):
            items.append(self._value(f"{path}[{len(items)}]", depth + 1))
        return items

    def _more(self, opens: str, closes: str, begun: bool) -> bool:
        """Steps over the opening bracket or a comma; False, and over the closing one, where that stands."""
        self._skip()
        if begun and self.text[self.at : self.at + 1] == closes:
            self.at += 1
            return False
        if self.text[self.at : self.at + 1] != ("," if begun else opens):
            raise self._wrong("not JSON: a comma or a bracket is missing")
        self.at += 1
        self._skip()
        if not begun and self.text[self.at : self.at + 1] == closes:
            self.at += 1
            return False
        return True

    def _text(self) -> str:
        try:
            text, self.at = STRING.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            raise self._wrong(f"not JSON: {error.msg}") from error
        return str(text)

    def _skip(self) -> None:
        space = SPACE.match(self.text, self.at)
        assert space is not None, "it matches nothing at all, too"
        self.at = space.end()

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _wrong(self, what: str) -> InvalidInput:
        return InvalidInput(
            what, file=self.file, line=self._line(), found=self.text[self.at : self.at + 20] or "the end of the file"
        )


def _number(text: str, *, whole: bool, wrong: Any) -> int | float:
    if len(text) > 40:
        raise wrong("a number too long to mean anything")
    return int(text) if whole else float(text)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _yaml(file: str, text: str) -> list[Value]:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("PyYAML", "yaml", needed_for=f"reading {file} (YAML; JSON needs nothing)") from None
    try:
        return [_Plain(file, yaml).value(node, "", 0) for node in yaml.compose_all(text, Loader=yaml.SafeLoader)]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or "characters that YAML does not allow"
        raise InvalidInput(f"not YAML: {what}", file=file, line=mark.line + 1 if mark else None) from error
    except RecursionError:
        raise InvalidInput("nested too deep", file=file, allowed=f"{DEEPEST} levels") from None


class _Plain:
    """One document's nodes as plain values; what an alias repeats is walked, and counted, each time."""

    def __init__(self, file: str, yaml: Any) -> None:
        self.file, self.yaml, self.count = file, yaml, 0

    def value(self, node: yaml.Node, path: str, depth: int) -> Value:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MOST_VALUES or depth > DEEPEST:
            wrong = "more values than anybody writes" if self.count > MOST_VALUES else "nested too deep"
            raise InvalidInput(wrong, file=self.file, line=line, field=path, hint="aliases count each time")
        what: Any
        if isinstance(node, self.yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            what = {}
            for key_node, child in node.value:
                key = self._key(key_node, path)
                if key in what:
                    raise InvalidInput(
                        "told twice", file=self.file, line=key_node.start_mark.line + 1, field=_join(path, key)
                    )
                what[key] = self.value(child, _join(path, key), depth + 1)
        elif isinstance(node, self.yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            what = [self.value(child, f"{path}[{i}]", depth + 1) for i, child in enumerate(node.value)]
        elif isinstance(node, self.yaml.ScalarNode):
            what = self._scalar(node, path)
        else:
            raise self._tagged(node, path)
        return Value(self.file, line, path, what)

    def _key(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, self.yaml.ScalarNode) or not node.value.isprintable():
            raise InvalidInput(
                "not a key", file=self.file, line=node.start_mark.line + 1, field=path, found=str(node.value)[:40]
            )
        if node.tag == "tag:yaml.org,2002:merge":
            raise InvalidInput(
                "merging (<<) is not read",
                file=self.file,
                line=node.start_mark.line + 1,
                field=path,
                hint="write the fields out",
            )
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode, path: str) -> str | int | float | bool | None:
        text, kind = str(node.value), node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in {"str", "int", "float", "bool", "null", "timestamp", "value"}:
            raise self._tagged(node, path)
        if kind == "str" or node.style in {'"', "'"}:
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in {"true", "yes", "on"}

        def wrong(what: str) -> InvalidInput:
            return InvalidInput(what, file=self.file, line=node.start_mark.line + 1, field=path, found=text[:40])

        if kind in {"int", "float"} and WHOLE.fullmatch(text):
            return _number(text.replace("_", ""), whole=True, wrong=wrong)
        if kind in {"int", "float"} and REAL.fullmatch(text):
            return _number(text, whole=False, wrong=wrong)
        return text

    def _tagged(self, node: yaml.Node, path: str) -> InvalidInput:
        return InvalidInput(
            "only plain data is read",
            file=self.file,
            line=node.start_mark.line + 1,
            field=path,
            found=node.tag,
            hint="leave the tag out",
        )
