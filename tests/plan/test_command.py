"""The command tells the same as the room: the front and the prices, for people and as JSON."""

import json
import re
import subprocess
import sys
from datetime import datetime

import pytest
from click.testing import CliRunner

from heliotrope.cli.root import helio as command
from heliotrope.errors import HelioError


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


def test_a_length_that_is_not_known_is_told_by_three_numbers(tmp_path):
    found = json.loads(helio(tmp_path, "plan", "--length", "1h,3h,8h", "--within", "24h", "--power", "300", "--json"))
    start, end = (datetime.fromisoformat(found["slots"][0][at]) for at in ("start", "end"))
    assert (end - start).total_seconds() == pytest.approx(8 * 3600)
    assert found["expected"]["energy_j"] == pytest.approx(300 * 3 * 3600)
    for wrong in ("1h,3h", "3h,1h,8h", "0s,1h,2h"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            helio(tmp_path, "plan", "--length", wrong)
        assert refused.value.stderr.startswith("error: --length")


def test_prices_of_limits_come_with_the_plan(tmp_path):
    found = json.loads(helio(tmp_path, "plan", "--length", "2h", "--within", "6h", "--explain", "--json"))
    assert {price["limit"] for price in found["prices"]} >= {"deadline", "unbroken"}
    assert found["plan"]["slots"]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("--power", "-5"), "--power: not a power.*more than 0"),
        (("--power", "0"), "--power: not a power"),
        (("--power", "nan"), "--power: not a power"),
        (("--sites", "hamnia"), "no site is called hamnia.*did you mean hamina"),
        (("--within", "1h"), "the deadline is shorter than the work.*allow at least 2 h"),
        (("--movable",), "only what saves its state can move.*--pausable --pause-by checkpoint"),
        (("--state", "4XB"), "--state: not a size"),
        (("--late", "5"), "--late is the price of missing a deadline.*--within or --until"),
    ],
)
def test_what_cannot_be_planned_is_refused_by_the_option_that_says_it(tmp_path, told, said):
    asked = ["plan", "--length", "2h", "--fleet", "example", *told, "--json", "--home", str(tmp_path)]
    done = CliRunner().invoke(command, asked)
    assert isinstance(done.exception, HelioError)
    assert done.exception.exit_code == 2
    assert re.search(said, str(done.exception), re.DOTALL)
    assert done.stdout == ""
