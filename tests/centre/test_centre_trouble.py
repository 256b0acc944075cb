"""Two real centres in other trouble than cuts: a flapping or slow line, a wrong clock, a full disk."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lines import ByteLine, best_line
from real_centres import NAMES, JournalLoad, RealPair, Watch, wait_until
from test_centre_cuts import (
    assert_journals_agree,
    assert_no_errors,
    assert_one_picture,
    is_one_picture,
    wait_for_word,
)

pytestmark = pytest.mark.soak
SKEWED = str(Path(__file__).with_name("skewed_centre.py"))
DISK = 48_000_000  # bytes of the small disk
RATE, DELAY, STALL = 100_000.0, 0.5, 2.0  # bytes/s, s and s of the slow line


def test_a_flapping_line_loses_no_record_and_no_aircraft(tmp_path: Path):
    with RealPair(tmp_path, best_line(NAMES)) as pair, Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin = time.time()
        with JournalLoad(pair) as load:
            for number in range(20):
                pair.line.cut((None, "ALPHA", "BRAVO")[number % 3])
                time.sleep(0.5 + number % 7)  # some too short to be noticed, some not
                pair.line.heal()
                time.sleep(0.5 + number % 4)
        wait_for_word(watch)
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert load.errors == []
        assert_one_picture(watch, begin, cuts=20)
        assert_journals_agree(pair, load)
        assert_no_errors(pair)


def test_a_slow_line_that_stalls_keeps_the_partners_together(tmp_path: Path):
    line = ByteLine(NAMES)
    with RealPair(tmp_path, line) as pair, Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        for link in line.links.values():
            link.rate, link.delay = RATE, DELAY
        begin = time.time()
        with JournalLoad(pair) as load:
            for _ in range(10):
                time.sleep(5.0)
                line.cut()
                time.sleep(STALL)
                line.heal()
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert load.errors == []
        for name in NAMES:
            assert {seen.state.link for seen in watch.since(name, begin)} <= {"up", "late"}
        assert_one_picture(watch, begin, cuts=1)
        assert_journals_agree(pair, load)
        assert_no_errors(pair)


@pytest.mark.parametrize("skew", [2.0, -2.0])
def test_centres_whose_clocks_differ_by_two_seconds_have_one_picture_and_find_back(
    tmp_path: Path, skew: float
):
    programs = {"BRAVO": (SKEWED, str(skew))}
    with RealPair(tmp_path, best_line(NAMES), programs) as pair, Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin = time.time()
        with JournalLoad(pair) as load:
            pair.line.cut()
            wait_until(lambda: watch.both(lambda seen: seen.state.link == "down"), what=lambda: watch)
            time.sleep(4.0)
            pair.line.heal()
            wait_until(lambda: watch.both(lambda seen: seen.state.link == "up"), what=lambda: watch)
            wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert load.errors == []
        assert_one_picture(watch, begin, cuts=1)
        assert_journals_agree(pair, load)
        assert_no_errors(pair)


@pytest.mark.skipif(os.geteuid() != 0, reason="this machine has no right to mount a small disk")
def test_a_full_disk_stops_the_exchange_alone_and_it_goes_on_when_there_is_room(tmp_path: Path):
    with (
        small_disk(tmp_path / "alpha" / "data"),
        RealPair(tmp_path, best_line(NAMES)) as pair,
        Watch(pair) as watch,
    ):
        alpha = pair.centres["ALPHA"]
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin = time.time()
        with JournalLoad(pair) as load:
            fill(alpha.data / "ballast")
            wait_until(lambda: load.errors != [])
            refused = len(load.errors)
            time.sleep(10.0)
            assert len(load.errors) > refused
            assert watch.last("ALPHA").sequence > watch.since("ALPHA", begin)[0].sequence
            (alpha.data / "ballast").unlink()
            kept = len(load.kept["ALPHA"])
            wait_until(lambda: len(load.kept["ALPHA"]) > kept + 20)
        assert all("No space left" in error for error in load.errors), set(load.errors)
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert_one_picture(watch, begin, cuts=1)
        assert_journals_agree(pair, load)
        assert_no_errors(pair, "not recorded", "not kept", "not stored", "stores no more", "store again")


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own at a folder, in memory."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
