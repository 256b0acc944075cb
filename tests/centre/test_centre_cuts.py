"""Two real centres when the line between them fails: both go on, and find back together."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from lines import best_line, can_make_namespaces
from real_centres import (
    AIRCRAFT,
    NAMES,
    SCAN,
    JournalLoad,
    RealCentre,
    RealPair,
    Seen,
    Watch,
    is_whole,
    wait_until,
)

WHERE = "in network namespaces" if can_make_namespaces() else "over a proxy of bytes"
BUSY = 3.0  # times by which a goal may be missed where other work takes the machine
FIRST_MESSAGE = 5.0  # s after a heal
TURNS = 2  # of the slowest shared radar, from the first message to one picture
GONE_AFTER = 30.0  # s after which a partner's tracks leave the picture


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPair]:
    """Alpha and Bravo, for all tests here: each leaves them whole."""
    with RealPair(tmp_path_factory.mktemp("real"), best_line(NAMES)) as pair:
        yield pair


@pytest.mark.counts(f"cuts between two running centres, {WHERE}", sample=3, soak=20)
def test_cuts_under_load_lose_no_record_and_no_aircraft(pair: RealPair, count: int):
    with Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin = time.time()
        with JournalLoad(pair) as load:
            for number in range(count):
                to = (None, "ALPHA", "BRAVO")[number % 3]
                cut_and_heal(pair, watch, to, GONE_AFTER + 8.0 if number % 10 == 9 else 7.0)
        assert load.errors == []
    assert_one_picture(watch, begin, cuts=count)
    assert_journals_agree(pair, load)
    assert_no_errors(pair)


def test_an_engine_killed_under_load_is_back_and_nothing_is_lost(pair: RealPair):
    with Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin = time.time()
        with JournalLoad(pair) as load:
            for centre in pair.both:
                before = (centre.data / "exchange" / "nats.pid").read_text()
                centre.kill_engine()
                wait_until(lambda c=centre, b=before: (c.data / "exchange" / "nats.pid").read_text() != b)
                wait_for_word(watch)
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert load.errors == []
    assert_one_picture(watch, begin, cuts=2)
    assert_journals_agree(pair, load)
    assert_no_errors(pair, "server died")


def test_a_centre_killed_under_load_comes_back_under_the_same_numbers(pair: RealPair):
    bravo = pair.centres["BRAVO"]
    with Watch(pair) as watch:
        wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        begin, numbers = time.time(), numbers_by_address(watch.last("ALPHA"))
        with JournalLoad(pair) as load:
            bravo.kill()
            wait_until(lambda: watch.last("ALPHA").state.link == "down", what=lambda: watch)
            bravo.start()
            wait_for_word(watch)
            wait_until(lambda: is_one_picture(watch), what=lambda: watch)
        assert {error.split(":")[0] for error in load.errors} <= {str(bravo.data)}
        assert numbers_by_address(watch.last("BRAVO")) == numbers
    assert_one_picture(watch, begin, cuts=1)
    assert_journals_agree(pair, load)
    assert_no_errors(pair, "server died")


def cut_and_heal(pair: RealPair, watch: Watch, to: str | None, seconds: float) -> None:
    """Cut the line for at least some seconds, and hold both centres to what they must do then and after."""
    began = time.time()
    pair.line.cut(to)
    wait_until(lambda: watch.both(lambda seen: seen.state.link == "down"), what=lambda: watch)
    wait_until(lambda: time.time() - began >= seconds)
    for name in NAMES:
        seen = watch.last(name)
        assert seen.state.report_age is not None
        assert seen.state.report_age >= seen.time - began - 1.0  # it is as old as the cut, and says so
        ages = [track["report_age"] for track in seen.tracks if track["report_age"] is not None]
        assert all(age >= seen.state.report_age - 2.0 for age in ages)  # and so do the tracks
        if seconds > GONE_AFTER:
            assert seen.state.tracks == 0 and ages == []
    pair.line.heal()
    healed = time.time()
    wait_for_word(watch)
    wait_until(lambda: is_one_picture(watch), what=lambda: watch)
    for name in NAMES:
        after = watch.since(name, healed)
        first = next(seen.state.heard for seen in after if (seen.state.heard or 0.0) > healed)
        whole = next(seen.picture_time for seen in after if is_whole(seen) and seen.time >= first)
        print(f"cut {to}: {name} first {first - healed:.1f} s, whole after {whole - first:.1f} s")
        assert first - healed <= FIRST_MESSAGE * BUSY
        assert whole - first <= TURNS * SCAN * BUSY


def is_one_picture(watch: Watch) -> bool:
    """Whether both centres now show every aircraft under one number."""
    ends = [numbers_by_address(watch.last(name)) for name in NAMES]
    return watch.both(is_whole) and ends[0] == ends[1] and len(ends[0]) == AIRCRAFT


def wait_for_word(watch: Watch) -> None:
    """Wait until each centre hears of the other, from now on."""
    now = time.time()
    wait_until(lambda: watch.both(lambda seen: (seen.state.heard or 0.0) > now), what=lambda: watch)


def numbers_by_address(seen: Seen) -> dict[str, str]:
    return {track["address"]: track["joint"] for track in seen.tracks}


def assert_one_picture(watch: Watch, begin: float, cuts: int) -> None:
    """Of all that was seen since: nothing missing or merged, no picture left out, numbers changed seldom."""
    for name in NAMES:
        looks = watch.since(name, begin)
        for seen in looks:
            joints, addresses = ([track[key] for track in seen.tracks] for key in ("joint", "address"))
            assert len(set(joints)) == len(joints), f"{name} shows a number twice"
            assert len(set(addresses)) == len(addresses), f"{name} shows an aircraft twice"
        for one, other in pairwise(looks):
            if other.sequence >= one.sequence:  # else the centre was started again
                assert other.sequence - one.sequence == other.picture_time - one.picture_time
        changes = changed_numbers(looks)
        print(f"{name}: {len(changes)} number changes in {cuts} cuts: {changes}")
        assert all(count <= cuts for count in Counter(uid for uid, _, _ in changes).values())


def changed_numbers(looks: list[Seen]) -> list[tuple[str, str, str]]:
    """Identifier, old and new number of each change of a track's number."""
    changes: list[tuple[str, str, str]] = []
    shown: dict[str, str] = {}
    for seen in looks:
        for track in seen.tracks:
            before = shown.setdefault(track["uid"], track["joint"])
            if before != track["joint"]:
                changes.append((track["uid"], before, track["joint"]))
                shown[track["uid"]] = track["joint"]
    return changes


def assert_journals_agree(pair: RealPair, load: JournalLoad) -> None:
    """Each centre's log lies at its partner whole and in order, proves itself, and holds each act once."""
    heads: dict[str, int] = {}

    def all_acknowledged() -> bool:
        heads.update({centre.name: head(centre) for centre in pair.both})
        return all(centre.state().journal_ours >= heads[centre.name] for centre in pair.both)

    wait_until(all_acknowledged)
    with ThreadPoolExecutor() as runner:
        here, there = runner.map(RealCentre.records, pair.both)
    for name, kept in load.kept.items():
        # The centres run on and record what befalls, so one reading may be some records ahead of the other.
        common = min(len(here[name]), len(there[name]))
        assert common >= heads[name]
        assert here[name][:common] == there[name][:common]
        for log in (here[name], there[name]):
            assert [record["sequence"] for record in log] == list(range(1, len(log) + 1))
        reasons = [record["content"]["event"].get("reason", "") for record in here[name]]
        acts = [reason for reason in reasons if reason.startswith(load.label)]
        assert len(set(acts)) == len(acts)
        assert len(kept) > 20
        assert [act for act in acts if act in set(kept)] == kept


def head(centre: RealCentre) -> int:
    """How many records a centre has in its own log."""
    days = (centre.data / "journal" / centre.name).glob("*.jsonl")
    return sum(day.read_bytes().count(b"\n") for day in days)


def assert_no_errors(pair: RealPair, *expected: str) -> None:
    """The logs tell of no error but those that the test made."""
    for centre in pair.both:
        bad = [line for line in centre.log.splitlines() if " ERROR " in line or "Traceback" in line]
        assert [line for line in bad if not any(words in line for words in expected)] == []
