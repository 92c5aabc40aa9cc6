"""The command tells the same as the room: the front and the prices, for people and as JSON."""

import json
import subprocess
import sys


def helio(home, *args):
    told = [sys.executable, "-m", "heliotrope", *args, "--home", str(home)]
    return subprocess.run(told, capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_front_is_printed_and_is_one_object_as_json(tmp_path):
    asked = ("plan", "--length", "2h", "--within", "24h", "--power", "300", "--front")
    assert "the fewest grams" in helio(tmp_path, *asked)
    points = json.loads(helio(tmp_path, *asked, "--json"))["front"]
    grams = [point["outlook"]["carbon_g"] for point in points]
    assert min(grams) == grams[-1]
    assert all(point["slots"] for point in points)


def test_prices_of_limits_come_with_the_plan(tmp_path):
    found = json.loads(helio(tmp_path, "plan", "--length", "2h", "--within", "6h", "--explain", "--json"))
    assert {price["limit"] for price in found["prices"]} >= {"deadline", "unbroken"}
    assert found["plan"]["slots"]
