"""What holds of every engine of the exchange; a test module gives the pair of engines to hold against it."""

from collections.abc import Callable
from typing import Protocol

from skypact.exchange.engine import Engine, Inlet, Message, Outlet, StoredRecord


class EnginePair(Protocol):
    """The engines of Alpha and Bravo, linked, and what a test may do to them."""

    alpha: Engine
    bravo: Engine

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Let the engines work until the condition holds; fails the test after `seconds`."""

    def cut(self) -> None:
        """Cut the way between them, both directions of both links."""

    def heal(self) -> None:
        """Undo the cut."""

    def restart_alpha(self) -> None:
        """Kill Alpha's engine and start it again; outlets and inlets stay usable."""


class Ends:
    """Both ends of what Alpha gives Bravo, and all that came so far."""

    def __init__(self, pair: EnginePair) -> None:
        self.pair = pair
        self.outlet: Outlet = pair.alpha.outlet("BRAVO")
        self.inlet: Inlet = pair.bravo.inlet("ALPHA")
        self.came: list[Message] = []
        self.records: list[StoredRecord] = []
        self.came_back: list[Message] = []

    def collect(self) -> None:
        self.came += self.inlet.take()
        self.records += self.inlet.take_records()
        self.came_back += self.outlet.take()

    def until(self, condition: Callable[[], bool]) -> None:
        def collected() -> bool:
            self.collect()
            return condition()

        self.pair.until(collected)

    def until_linked(self) -> None:
        """Until a live message passes, and one back."""

        def passes() -> bool:
            self.outlet.publish("probe", b"")
            self.inlet.reply("probe", b"")
            return bool(self.payloads("probe")) and bool(self.came_back)

        self.came, self.came_back = [], []
        self.until(passes)

    def payloads(self, subject: str) -> list[bytes]:
        return [message.payload for message in self.came if message.subject == subject]


class EngineContract:
    """Tests; a subclass has the fixture `pair`."""

    def test_live_messages_arrive_in_order_with_their_subject_and_a_time(self, pair: EnginePair):
        ends = Ends(pair)
        ends.until_linked()
        for n in range(100):
            ends.outlet.publish("plots", b"%d" % n)
        ends.until(lambda: len(ends.payloads("plots")) == 100)
        assert ends.payloads("plots") == [b"%d" % n for n in range(100)]
        times = [message.received for message in ends.came]
        assert times == sorted(times)

    def test_a_large_message_arrives_whole(self, pair: EnginePair):
        ends = Ends(pair)
        ends.until_linked()
        large = bytes(range(256)) * 4096
        ends.outlet.put("tile.0", large)
        ends.outlet.publish("plots", large)
        ends.until(lambda: ends.payloads("tile.0") == [large] and ends.payloads("plots") == [large])

    def test_replies_reach_the_owner(self, pair: EnginePair):
        ends = Ends(pair)
        ends.until_linked()
        ends.inlet.reply("ack", b"7")
        ends.until(lambda: [m.payload for m in ends.came_back if m.subject == "ack"] == [b"7"])

    def test_what_one_centre_gives_does_not_come_back_to_it(self, pair: EnginePair):
        ends, back = Ends(pair), pair.alpha.inlet("BRAVO")
        ends.until_linked()
        ends.outlet.publish("plots", b"")
        ends.until(lambda: bool(ends.payloads("plots")))
        assert back.take() == []

    def test_a_reader_that_joins_late_gets_the_last_value_of_each_subject(self, pair: EnginePair):
        ends = Ends(pair)
        for n in range(10):
            for tile in range(3):
                ends.outlet.put(f"tile.{tile}", b"%d" % n)
        ends.until(lambda: {b"9"} == {m[-1] for m in (ends.payloads(f"tile.{t}") for t in range(3)) if m})
        late = pair.bravo.inlet("ALPHA")
        came: list[Message] = []

        def has_all() -> bool:
            came.extend(late.take())
            return len([m for m in came if m.subject.startswith("tile.")]) == 3

        pair.until(has_all)
        assert {m.subject: m.payload for m in came if m.subject != "probe"} == {
            f"tile.{tile}": b"9" for tile in range(3)
        }

    def test_cleared_values_do_not_reach_a_reader_that_connects_later(self, pair: EnginePair):
        pair.cut()
        ends = Ends(pair)
        ends.outlet.put("tile.0", b"secret")
        ends.outlet.clear()
        ends.outlet.put("hello", b"open")
        pair.heal()
        ends.until(lambda: ends.payloads("hello") == [b"open"])
        assert ends.payloads("tile.0") == []

    def test_last_values_can_be_had_while_the_link_is_cut(self, pair: EnginePair):
        ends = Ends(pair)
        ends.outlet.put("tile.0", b"before")
        ends.until(lambda: ends.payloads("tile.0") == [b"before"])
        pair.cut()
        ends.outlet.put("tile.0", b"unheard")
        late = pair.bravo.inlet("ALPHA")
        came: list[Message] = []

        def has_it() -> bool:
            came.extend(late.take())
            return bool(came)

        pair.until(has_it)
        assert [m.payload for m in came if m.subject == "tile.0"] == [b"before"]

    def test_a_cut_loses_live_messages_and_the_newest_values_come_after_it(self, pair: EnginePair):
        ends = Ends(pair)
        ends.until_linked()
        pair.cut()
        for n in range(5):
            ends.outlet.publish("plots", b"lost %d" % n)
            ends.outlet.put("tile.0", b"%d" % n)
        ends.collect()
        assert ends.payloads("tile.0") == []
        pair.heal()
        ends.until(lambda: bool(ends.payloads("tile.0")))
        assert ends.payloads("tile.0")[-1] == b"4"
        ends.until_linked()

    def test_records_arrive_once_and_in_order(self, pair: EnginePair):
        ends = Ends(pair)
        for sequence in range(1, 201):
            ends.outlet.append(sequence, b"record %d" % sequence)
            ends.outlet.append(sequence, b"record %d" % sequence)
        ends.until(lambda: len(ends.records) >= 200)
        ends.until_linked()
        assert ends.records == [StoredRecord(n, b"record %d" % n) for n in range(1, 201)]
        assert ends.outlet.stored == 200

    def test_records_of_a_cut_follow_after_it(self, pair: EnginePair):
        ends = Ends(pair)
        ends.outlet.append(1, b"1")
        ends.until(lambda: len(ends.records) == 1)
        pair.cut()
        for sequence in range(2, 102):
            ends.outlet.append(sequence, b"%d" % sequence)
        pair.until(lambda: ends.outlet.stored == 101)  # storing does not wait for the partner
        pair.heal()
        ends.until(lambda: len(ends.records) >= 101)
        assert ends.records == [StoredRecord(n, b"%d" % n) for n in range(1, 102)]

    def test_an_inlet_goes_on_after_the_record_that_its_centre_holds(self, pair: EnginePair):
        ends = Ends(pair)
        for sequence in range(1, 11):
            ends.outlet.append(sequence, b"%d" % sequence)
        ends.until(lambda: len(ends.records) == 10)
        later = pair.bravo.inlet("ALPHA", after=7)
        records: list[StoredRecord] = []

        def has_three() -> bool:
            records.extend(later.take_records())
            return len(records) >= 3

        pair.until(has_three)
        assert [record.sequence for record in records] == [8, 9, 10]

    def test_what_the_engine_kept_of_a_former_log_is_not_taken_for_the_present_one(self, pair: EnginePair):
        ends = Ends(pair)
        for n in range(1, 4):
            ends.outlet.append(n, b"%d" % n)
        ends.until(lambda: len(ends.records) == 3)
        pair.bravo.forget("ALPHA")
        ends.inlet, ends.records = pair.bravo.inlet("ALPHA", 0, "another log"), []
        ends.until(lambda: len(ends.records) == 3)
        ends.outlet.append(4, b"4")
        ends.until(lambda: len(ends.records) == 4)
        assert [record.sequence for record in ends.records] == [1, 2, 3, 4]

    def test_stored_records_survive_that_the_engine_is_killed(self, pair: EnginePair):
        ends = Ends(pair)
        for sequence in range(1, 21):
            ends.outlet.append(sequence, b"%d" % sequence)
        pair.until(lambda: ends.outlet.stored == 20)
        pair.restart_alpha()
        for sequence in range(21, 41):
            ends.outlet.append(sequence, b"%d" % sequence)
        ends.until(lambda: len(ends.records) >= 40)
        assert ends.records == [StoredRecord(n, b"%d" % n) for n in range(1, 41)]
        ends.until_linked()
