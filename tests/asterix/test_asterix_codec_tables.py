"""The tables: generated from the definitions, complete, and in the installed package."""

import importlib.util
import json
from pathlib import Path

import pytest

from skypact.asterix.profiles import CORE
from skypact.asterix.tables import CATEGORIES, editions, load_table

PROJECT = Path(__file__).resolve().parents[2]
TABLES = PROJECT / "src" / "skypact" / "asterix" / "tables"


def load_tool():
    path = PROJECT / "tools" / "generate_asterix_tables.py"
    spec = importlib.util.spec_from_file_location("generate_asterix_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_committed_tables_are_what_the_definitions_give(recordings, category):
    folder = recordings / "asterix-specs"
    tool = load_tool()
    committed = (TABLES / f"cat{category:03d}.json").read_text(encoding="utf-8")
    assert tool.table_text(tool.make_table(folder, category)) == committed


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_table_tells_its_source_and_licence(category):
    table = json.loads((TABLES / f"cat{category:03d}.json").read_text(encoding="utf-8"))
    assert "asterix-specs commit" in table["source"]
    assert table["licence"].startswith("BSD-3-Clause")
    assert all(edition["date"] for edition in table["editions"].values())


def test_the_editions_that_matter_are_there():
    assert editions(48)[-1] == "1.32"
    assert editions(62)[-1] == "1.21"
    assert "0.26" in editions(21)
    assert editions(21)[-1] == "2.7"
    assert editions(240) == ()


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_core_profile_is_a_part_of_the_full_one_and_names_what_exists(category):
    full, core = set(), set()
    for edition in editions(category):
        full |= set(load_table(category, edition).names)
        core |= set(load_table(category, edition, "core").names)
    assert core < full
    for chosen in CORE[category]:
        assert any(name == chosen or name.startswith(f"{chosen}/") for name in core), chosen


def test_fields_have_the_bit_values_of_the_specification():
    units = {column.name: (column.scale, column.unit) for column in load_table(48, "1.32").columns}
    assert units["040/RHO"] == (1 / 256, "NM")
    assert units["040/THETA"] == (360 / 65536, "°")
    assert units["140"] == (1 / 128, "s")
    assert units["070/MODE3A"] == (1.0, "")
    units = {column.name: (column.scale, column.unit) for column in load_table(62, "1.21").columns}
    assert units["105/LAT"] == (180 / 2**25, "°")
    assert units["220"] == (6.25, "ft/min")


def test_an_edition_without_a_table_is_a_key_error():
    with pytest.raises(KeyError):
        load_table(48, "0.1")
