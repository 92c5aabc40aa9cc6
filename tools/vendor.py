"""Fetches what the front end takes from npm, at pinned versions and digests, with its licence beside it.

    python tools/vendor.py

Run by hand when a version changes; what it writes is committed, so that nobody needs npm or a network to build.
The world map is made here: countries of Natural Earth, on an Equal Earth projection, as one small SVG path.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from heliotrope.model import Place
from heliotrope.web.draw.world import SOUTH, project

VENDOR = Path(__file__).parents[1] / "src" / "heliotrope" / "web" / "static" / "vendor"
# package, version, SHA-256 of the archive, {file in it: file here}
PACKAGES = (
    (
        "world-atlas",
        "2.0.2",
        "032e7765f2ce00edaeafec23ff22bc3b77e42987c257da944cc585b452c05b97",
        {"LICENSE": "world-atlas.LICENSE"},
    ),
)


def fetch(package: str, version: str, digest: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        npm = shutil.which("npm")
        assert npm, "npm is needed to vendor"
        subprocess.run(
            [npm, "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(folder).glob("*.tgz")
        data = archive.read_bytes()
    found = sha256(data).hexdigest()
    if found != digest:
        raise SystemExit(f"{package}@{version} has the digest {found}, not {digest}")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name.removeprefix("package/"): tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}


def rings(topology: dict) -> list[list[tuple[float, float]]]:
    """TopoJSON's countries as rings of degrees (the format's delta-coded arcs undone)."""
    scale, shift = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * scale[0] + shift[0], y * scale[1] + shift[1]))
        arcs.append(points)

    def ring(indices: list[int]) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        for index in indices:
            arc = arcs[index] if index >= 0 else arcs[~index][::-1]
            points += arc[1:] if points else arc
        return points

    found = []
    for shape in topology["objects"]["countries"]["geometries"]:
        parts = (
            shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]] if shape["type"] == "Polygon" else []
        )
        found += [ring(indices) for part in parts for indices in part]
    return found


def cut(ring: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """A ring over the date line becomes one on each side: unrolled, then pressed flat against its meridian."""
    unrolled, turn = [ring[0]], 0.0
    for (before, _), (longitude, latitude) in pairwise(ring):
        turn += 360.0 * ((longitude - before < -180) - (longitude - before > 180))
        unrolled.append((longitude + turn, latitude))
    found = []
    for shift in (-360.0, 0.0, 360.0):
        moved = [(longitude + shift, latitude) for longitude, latitude in unrolled]
        if any(-180 < longitude < 180 for longitude, _ in moved):
            found.append([(max(-180.0, min(180.0, longitude)), latitude) for longitude, latitude in moved])
    return found


def world(topology: dict) -> str:
    """One SVG path in whole half pixels; Antarctica, where no grid is, is left out."""
    parts = []
    for ring in (part for whole in rings(topology) for part in cut(whole)):
        if max(latitude for _, latitude in ring) < SOUTH:
            continue
        points: list[tuple[int, int]] = []
        for longitude, latitude in ring:
            x, y = project(Place(max(-90.0, min(90.0, latitude)), longitude))
            point = (round(2 * x), round(2 * y))
            if not points or points[-1] != point:
                points.append(point)
        if len(points) > 3:
            moves = [f"{bx - ax} {by - ay}" for (ax, ay), (bx, by) in pairwise(points)]
            parts.append(f"M{points[0][0]} {points[0][1]}l{' '.join(moves)}z".replace(" -", "-"))
    return "".join(parts) + "\n"


def main() -> None:
    VENDOR.mkdir(parents=True, exist_ok=True)
    for package, version, digest, wanted in PACKAGES:
        files = fetch(package, version, digest)
        for source, target in wanted.items():
            (VENDOR / target).write_bytes(files[source])
        if package == "world-atlas":
            (VENDOR / "world.path").write_text(world(json.loads(files["countries-110m.json"])), encoding="utf-8")
    lines = [f"{package} {version} sha256:{digest}" for package, version, digest, _ in PACKAGES]
    (VENDOR / "VERSIONS").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
