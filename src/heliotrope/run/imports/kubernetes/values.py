"""Values as Kubernetes writes them: quantities, labels, references to variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from heliotrope.run.imports.document import Value

QUANTITY = re.compile(r"(\+?(?:\d+\.?\d*|\.\d+))(?:([eE][-+]?\d{1,2})|([KMGTPE]i|[numkMGTPE]))?", re.ASCII)
TIMES = {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}
TIMES |= {letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", 1)}
TIMES |= {letter: Fraction(1, 1000**power) for power, letter in enumerate("mun", 1)}
REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)")
LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
CLUSTERS_OWN = ("batch.kubernetes.io/", "controller-uid", "job-name")
LABEL_KEY = re.compile(r"(?:[-a-z0-9.]{1,253}/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def quantity(value: Value) -> Fraction:
    """500m, 0.5, 4, 1Gi, 512M, 1e9; exact."""
    text = value.scalar()
    shape = QUANTITY.fullmatch(text) if len(text) <= 40 else None
    exact = Fraction(Decimal(shape[1] + (shape[2] or ""))) * TIMES.get(shape[3], Fraction(1)) if shape else None
    if exact is None or exact >= 1 << 60:
        raise value.wrong("not a quantity", allowed="500m, 2, 512Mi, 4Gi, 4G and the like")
    return exact


def expanded(text: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` of a known variable is its value, `$$` a dollar; anything else stays as it is."""

    def meant(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else known.get(found[1], found[0])

    return REFERENCE.sub(meant, text)


def labels(value: Value, notes: list[str]) -> dict[str, str]:
    found = {}
    for key, one in value.fields().items():
        if one.text() == "":
            notes.append(f"{one.path}: not kept; a label without a value")
        elif key.startswith(CLUSTERS_OWN):
            notes.append(f"{one.path}: not kept; the cluster gives its own")
        elif not LABEL_KEY.fullmatch(key) or not LABEL.fullmatch(one.text()):
            raise one.wrong("not a label", allowed="up to 63 of A-Z a-z 0-9 - _ . with a letter or digit at both ends")
        else:
            found[key] = one.text()
    return found


def pairs(labels: Mapping[str, str]) -> str:
    """As engine options hold them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
