"""What the pages tell a reader to type does what they say."""

import re
import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import get_args

import docs_helpers as docs
import msgspec
import pytest
from docs_helpers import PAGES, PROJECT
from typer.testing import CliRunner

from skypact.benchmarks.suite import NAMES as BENCHMARKS
from skypact.cli import app
from skypact.config import Config, parse_config
from skypact.exchange.policy import parse_policy
from skypact.sensors.model import SensorKind, read_sensor_table
from skypact.simulation.live import LiveSender
from skypact.simulation.scenario import Radar, Scenario, Traffic, parse_scenario, preset_names, read_scenario

PRESETS = PROJECT / "src" / "skypact" / "simulation" / "presets"
CONFIGURATION = PROJECT / "docs" / "configuration.md"
SIMULATION = PROJECT / "docs" / "simulation.md"
OFFLINE = {"decode", "evaluate", "simulate", "track"}
OUTPUTS = {"--out", "--html", "--plots", "--plots-out"}


# The command line


@pytest.mark.parametrize("page", PAGES, ids=docs.page_name)
def test_every_command_of_a_page_is_one_that_the_command_line_takes(page):
    for words in docs.typed_commands(page):
        command, arguments = docs.find_command(words)
        assert command in docs.leaves(), words
        command.make_context(command.name, arguments)  # raises where an argument is unknown or missing
    for words in docs.mentions(page):
        command, arguments = docs.find_command(words)
        assert {word for word in arguments if word.startswith("-")} <= docs.options(command)


@pytest.mark.parametrize("page", PAGES, ids=docs.page_name)
def test_every_option_that_a_page_names_belongs_to_a_command(page):
    known = set().union({"--help", "--version"}, *map(docs.options, docs.leaves()))
    named = {span.split()[0] for span in docs.spans(page.read_text()) if re.match(r"--\w", span)}
    assert named <= known


def test_every_command_has_a_help_that_ends_with_an_example_of_it():
    for command, words in zip(docs.leaves(), docs.help_examples(), strict=True):
        called, arguments = docs.find_command(words)
        assert called is command
        command.make_context(command.name, arguments)


@pytest.mark.parametrize("page", PAGES, ids=docs.page_name)
def test_every_make_target_of_a_page_is_one_of_the_makefile(page):
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    lines = docs.typed_lines(page) + docs.spans(page.read_text())
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= targets


def test_the_benchmarks_of_the_performance_page_are_those_of_the_command():
    page = PROJECT / "docs" / "performance.md"
    named = {name for words in docs.typed_commands(page) if words[0] == "bench" for name in words[1:]}
    assert named - {"NAME"} == set(BENCHMARKS)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Makes the current folder one that holds what the examples start from, of so many simulated seconds."""

    def lay_out(seconds):
        monkeypatch.chdir(tmp_path)
        for name in preset_names():
            whole = (PRESETS / f"{name}.toml").read_text()
            duration = min(seconds, read_scenario(name).duration_s)
            Path(f"{name}.toml").write_text(re.sub(r"duration_s = \d+", f"duration_s = {duration}", whole))
        Path("mine.toml").write_text(docs.blocks(SIMULATION, "toml")[0])
        run(["simulate", "standard.toml", "--out", "standard"])
        run(["track", "standard", "--out", "tracks.parquet"])
        Path("FOLDER").mkdir()
        for name in ("RECORDING", "FILE", "FOLDER/monday.pcap", "monday.pcap", "radar.pcap", "tracks.ff"):
            shutil.copy("standard/asterix.pcap", name)
        for name in ("S.toml", "sensors.toml"):
            shutil.copy("standard/sensors.toml", name)
        shutil.copy("standard.toml", "SCENARIO")
        shutil.copy("small.toml", "injects.toml")

    return lay_out


def run(words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    for option, value in pairwise(words):
        assert option not in OUTPUTS or Path(value).exists(), words


def offline(commands):
    """Those that end by themselves and need no network, presets being replaced by their shortened twins."""
    chosen = [words for words in commands if words[0] in OFFLINE and "--to" not in words]
    return [
        [words[0], f"{words[1]}.toml", *words[2:]] if words[1] in preset_names() else words
        for words in chosen
    ]


@pytest.mark.counts("seconds of each scenario simulated for the pages' commands", sample=60, soak=600)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if offline(docs.typed_commands(page))], ids=docs.page_name
)
def test_the_commands_of_a_page_work_one_after_the_other(page, desk, count):
    desk(count)
    for words in offline(docs.typed_commands(page)):
        run(words)


@pytest.mark.counts("seconds of each scenario simulated for the helps' examples", sample=60, soak=600)
def test_the_examples_of_the_commands_help_work(desk, count):
    desk(count)
    for words in offline(docs.help_examples()):
        run(words)


# Settings, scenarios


@pytest.mark.parametrize("page", [page for page in PAGES if docs.blocks(page, "toml")], ids=docs.page_name)
def test_every_toml_of_a_page_is_read_by_what_reads_it(page, tmp_path):
    for content in docs.blocks(page, "toml"):
        tables = tomllib.loads(content)
        if "traffic" in tables:
            parse_scenario(content.encode(), page.name)
        elif page.name == "release-policy.md":
            parse_policy(content.encode(), page)
        elif "input" in tables:
            parse_config(content.encode(), tmp_path / "centre.toml")
        else:
            (tmp_path / "sensors.toml").write_text(content)
            read_sensor_table(tmp_path / "sensors.toml")


def rows(text):
    """The cells of all table rows but the headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if "`" in row[0]]


@pytest.mark.parametrize("table", msgspec.structs.fields(Config), ids=lambda table: table.encode_name)
def test_every_setting_is_explained_with_its_true_default(table):
    (struct,) = (kind for kind in get_args(table.type) or [table.type] if kind is not type(None))
    sections = re.split(r"^## ", CONFIGURATION.read_text(), flags=re.MULTILINE)
    heading = re.compile(rf"`\[+{table.encode_name}\]+`")
    matching = [section for section in sections if heading.match(section)]
    assert len(matching) == 1, f"{CONFIGURATION.name} needs one section {heading.pattern}"
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    explained = [(docs.spans(row[0]), row[2]) for row in rows(matching[0])]
    assert sorted(key for keys, _ in explained for key in keys) == sorted(fields)
    for keys, text in explained:
        if text == "must be given":
            assert all(fields[key].required for key in keys)
            continue
        assert not any(fields[key].required for key in keys)
        if re.fullmatch(r"[\d.]+(, [\d.]+)*|true|false|`[^`]+`", text):  # a value, not words about it
            assert [plain(value) for value in text.split(", ")] == [fields[key].default for key in keys]


def plain(text):
    return text.strip("`") if text.startswith("`") else msgspec.json.decode(text)


def test_every_kind_of_sensor_is_named_in_the_configuration_page():
    (kinds,) = (meaning for key, meaning, *_ in rows(CONFIGURATION.read_text()) if key == "`kind`")
    assert sorted(docs.spans(kinds)) == sorted(kind.name.lower() for kind in SensorKind)


def test_the_example_of_a_scenario_shows_every_key():
    (content,) = docs.blocks(SIMULATION, "toml")
    tables = tomllib.loads(content)
    assert set(tables) == {field.encode_name for field in msgspec.structs.fields(Scenario)}
    for name, struct in (("traffic", Traffic), ("radar", Radar)):
        shown = {key for entry in tables[name] for key in entry}
        assert shown == {field.encode_name for field in msgspec.structs.fields(struct)}


def test_the_table_of_presets_says_what_they_are():
    explained = [
        [docs.spans(row[0])[0], *(int(re.match(r"[\d,]+", cell)[0].replace(",", "")) for cell in row[1:5])]
        for row in rows(SIMULATION.read_text())
        if docs.spans(row[0])[0] in preset_names()
    ]
    true = []
    for name in preset_names():
        preset = read_scenario(name)
        targets = sum(traffic.count for traffic in preset.traffic)
        radars = sum(radar.count for radar in preset.radar)
        true.append([name, targets, radars, int(preset.extent_km), preset.duration_s])
    assert sorted(explained) == sorted(true)


# Python


@pytest.mark.parametrize("page", [page for page in PAGES if docs.blocks(page, "python")], ids=docs.page_name)
def test_the_python_of_a_page_runs(page, desk, monkeypatch):
    desk(60)
    monkeypatch.setattr(LiveSender, "start", lambda self: None)  # its datagrams need somebody's network
    monkeypatch.setattr(LiveSender, "wait", lambda self: True)
    for content in docs.blocks(page, "python"):
        exec(compile(content, docs.page_name(page), "exec"), {})
