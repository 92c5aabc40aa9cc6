"""The little of BER that an SNMPv2c GET needs (RFC 1157, RFC 3416; X.690): values out, values in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

INTEGER, STRING, NULL, OID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
COUNTER32, GAUGE32, TICKS, COUNTER64 = 0x41, 0x42, 0x43, 0x46
MISSING = {0x80: "no such object", 0x81: "no such instance", 0x82: "end of the view"}
GET, RESPONSE = 0xA0, 0xA2
V2C = 1
ERRORS = ("no error", "too big", "no such name", "bad value", "read only", "general error", "no access")


class Garbled(ValueError):
    """Bytes that are not what they should be."""


class Value(NamedTuple):
    """What an object holds, and as which type; `data` None where there is no such object."""

    tag: int
    data: int | str | None


def _block(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def _integer(value: int) -> bytes:
    return _block(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(text: str) -> bytes:
    """A dotted name as its block."""
    try:
        arcs = [int(arc) for arc in text.strip(".").split(".")]
    except ValueError:
        arcs = []
    if len(arcs) < 2 or min(arcs) < 0 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise Garbled(f"not the name of an object: {text}")
    body = bytearray()
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(0x80 | arc & 0x7F)
        body += bytes(reversed(septets))
    return _block(OID, bytes(body))


def request(community: str, number: int, names: tuple[str, ...]) -> bytes:
    """A GET of these objects."""
    wanted = b"".join(_block(SEQUENCE, oid(name) + _block(NULL, b"")) for name in names)
    pdu = _block(GET, _integer(number) + _integer(0) + _integer(0) + _block(SEQUENCE, wanted))
    return _block(SEQUENCE, _integer(V2C) + _block(STRING, community.encode()) + pdu)


def response(data: bytes, number: int) -> list[Value] | None:
    """What the objects of request `number` hold, in the order asked; None where it answers another request."""
    message = list(_blocks(_only(data, SEQUENCE)))
    if len(message) != 3 or message[2][0] != RESPONSE:
        raise Garbled("not a response")
    parts = list(_blocks(message[2][1]))
    if len(parts) != 4:
        raise Garbled("a response without its parts")
    if _number(parts[0][1]) != number:
        return None
    failed = _number(parts[1][1])
    if failed:
        raise Garbled(f"refused: {ERRORS[failed] if failed < len(ERRORS) else failed}")
    return [_value(*list(_blocks(body))[1]) for _, body in _blocks(parts[3][1])]


def _value(tag: int, body: bytes) -> Value:
    if tag in MISSING or tag == NULL:
        return Value(tag, None)
    if tag == INTEGER:
        return Value(tag, _number(body))
    if tag in {COUNTER32, GAUGE32, TICKS, COUNTER64}:
        return Value(tag, int.from_bytes(body, "big"))
    if tag == OID:
        return Value(tag, _name(body))
    return Value(tag, body.decode("utf-8", "replace"))


def _number(body: bytes) -> int:
    return int.from_bytes(body, "big", signed=True)


def _name(body: bytes) -> str:
    arcs, arc = [], 0
    for septet in body:
        arc = arc << 7 | septet & 0x7F
        if not septet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def _blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, at, size = data[at], at + 2, _at(data, at + 1)
        if size & 0x80:
            digits = size & 0x7F
            size = int.from_bytes(data[at : at + digits], "big")
            at += digits
        if at + size > len(data):
            raise Garbled("cut off")
        yield tag, data[at : at + size]
        at += size


def _at(data: bytes, index: int) -> int:
    if index >= len(data):
        raise Garbled("cut off")
    return data[index]


def _only(data: bytes, tag: int) -> bytes:
    blocks = list(_blocks(data))
    if len(blocks) != 1 or blocks[0][0] != tag:
        raise Garbled("not a message of SNMP")
    return blocks[0][1]
