import re
from pathlib import Path

import pytest

from skypact.config import parse_config, read_config
from skypact.core.areas import Box, Polygon
from skypact.core.errors import BadInputError
from skypact.core.units import DEGREE, FOOT

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
SMALLEST = """
[centre]
name = "ALPHA"
[[sensor]]
name = "one"
sac = 1
sic = 2
latitude_deg = 50
longitude_deg = 5
[[input]]
listen = "127.0.0.1:8600"
"""


def documented_example() -> str:
    blocks = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


def parse(text: str, tmp_path: Path):
    return parse_config(text.encode(), tmp_path / "centre.toml")


def test_the_documented_example_is_read_as_it_says(tmp_path):
    settings = parse(documented_example(), tmp_path)
    assert settings.name == "ALPHA"
    assert settings.sensors.names == ["west", "east", "ground-station"]
    assert settings.sensors.editions == {(25, 21): {21: "0.26"}}
    assert settings.sensors.reference.latitude == pytest.approx(45 * DEGREE)
    group, own = settings.inputs
    assert group.is_multicast
    assert (group.port, group.interface, group.senders) == (8600, "127.0.0.1", ("127.0.0.1", "192.0.2.12"))
    assert not own.is_multicast
    assert [rule.sensor for rule in settings.rules] == [0, 1]
    tower, neighbour = settings.outputs
    assert (tower.name, tower.address, tower.port, tower.period) == ("tower", "127.0.0.1", 8700, 4.0)
    assert (tower.sac, tower.sic, neighbour.sic) == (25, 1, 2)
    assert tower.floor == pytest.approx(1000 * FOOT)
    assert isinstance(tower.area, Box)
    assert isinstance(neighbour.area, Polygon)
    assert settings.tracker.late_limit == 8.0
    assert settings.data == tmp_path / "alpha-data"


def test_a_centre_has_the_system_unit_that_is_given_or_the_one_of_its_name(tmp_path):
    assert parse(SMALLEST, tmp_path).system_unit == 179
    renamed = parse(SMALLEST.replace("ALPHA", "BRAVO"), tmp_path)
    assert 1 <= renamed.system_unit <= 255 and renamed.system_unit != 179
    assert parse(SMALLEST.replace("[[sensor]]", "unit = 7\n[[sensor]]", 1), tmp_path).system_unit == 7
    for unit in (0, 256):
        with pytest.raises(BadInputError, match="unit"):
            parse(SMALLEST.replace("[[sensor]]", f"unit = {unit}\n[[sensor]]", 1), tmp_path)


def test_the_smallest_file_has_defaults_for_the_rest(tmp_path):
    settings = parse(SMALLEST, tmp_path)
    assert settings.outputs == ()
    assert (settings.display.host, settings.display.port) == ("127.0.0.1", 8000)
    assert settings.sensors.reference.longitude == pytest.approx(5 * DEGREE)


def test_identifiers_of_tracks_differ_from_start_to_start(tmp_path):
    first, second = parse(SMALLEST, tmp_path), parse(SMALLEST, tmp_path)
    assert first.tracker.centre_seed != second.tracker.centre_seed


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "ALPHA"', 'name = "ALPHA"\ncolour = "red"', ["colour", "centre"]),
        ('name = "ALPHA"', 'name = "al pha"', ["centre.name"]),
        ('name = "ALPHA"', 'name = "A"\nperiod_s = 0', ["period_s"]),
        ("latitude_deg = 50", "latitude_deg = 95", ["latitude_deg"]),
        ("latitude_deg = 50", "", ["no sensor has a site"]),
        ("sic = 2", 'sic = 2\nkind = "sonar"', ["sonar"]),
        ('listen = "127.0.0.1:8600"', 'listen = "here"', ["input[0].listen", "here"]),
        ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:99999"', ["input[0].listen"]),
        ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:1"\nsender = "me"', ["input[0].sender"]),
        ('listen = "127.0.0.1:8600"', 'listen = "127.0.0.1:1"\nsensors = ["one"]', ["without sender"]),
        (
            'listen = "127.0.0.1:8600"',
            'listen = "127.0.0.1:1"\nsender = "1.1.1.1"\nsensors = ["two"]',
            ["input[0].sensors", "two"],
        ),
        ('[[input]]\nlisten = "127.0.0.1:8600"', "", ["no [[input]]"]),
        ("[[input]]", '[[output]]\nto = "tower"\n[[input]]', ["output[0].to"]),
        (
            "[[input]]",
            '[[output]]\nto = "1.1.1.1:1"\narea = { south_deg = 5, north_deg = 1 }\n[[input]]',
            ["output[0].area", "south"],
        ),
        (
            "[[input]]",
            '[[output]]\nto = "1.1.1.1:1"\narea = { polygon_deg = [[1, 1], [2, 2]] }\n[[input]]',
            ["output[0].area.polygon_deg"],
        ),
        ("[[input]]", '[display]\ncertificate = "a.pem"\n[[input]]', ["display"]),
        ("[[input]]", '[display]\ncertificate = "a.pem"\nkey = "b.pem"\n[[input]]', ["a.pem"]),
        ("[centre]", "[centre", ["centre.toml"]),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(tmp_path, old, new, words):
    assert old in SMALLEST
    with pytest.raises(BadInputError) as caught:
        parse(SMALLEST.replace(old, new), tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    for word in ["centre.toml", *words]:
        assert word in line


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"nowhere\.toml"):
        read_config(tmp_path / "nowhere.toml")
