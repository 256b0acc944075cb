"""The release gateway on a simulated link: what leaves, when, and in which order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import binary
from simulated_link import ALL, SENSORS, START, SimulatedLink, make_health, make_policy, make_report

from skypact.exchange.engine import Message
from skypact.exchange.gateway import DOWN_AFTER, OLDEST_PLOTS, Gateway
from skypact.exchange.model import Rung
from skypact.exchange.wire import Ack, Beat, Hello, Plots, Sensors, Tracks, decode, encode_ack
from skypact.plots.model import make_plots

LATE = b'[[tracks]]\nname = "late"\ndelay_s = 10\n[[plots]]\nname = "late"\ndelay_s = 10\n'
THIN = {"bytes_per_second": 100_000.0, "latency": 0.5}


def handed(link: SimulatedLink, subject: str) -> list[tuple[float, bytes]]:
    return [(time, payload) for time, name, payload in link.outlet.handed if name.split(".")[0] == subject]


def decoded(link: SimulatedLink, subject: str) -> list[object]:
    return [decode(payload) for _, payload in handed(link, subject)]


def test_a_partner_gets_tracks_plots_sensors_health_and_journal():
    link = SimulatedLink(tracks=100)
    for _ in range(5):
        link.write()
    link.until_on(Rung.PLOTS)
    link.run(3.0)
    assert link.uids() == set(range(1, 101))
    assert link.plot_count() > 0
    assert [sensor.name for seen in link.seen for sensor in seen.sensors or ()] == ["north", "south"]
    assert {entry.name for seen in link.seen for entry in seen.health or ()} == {"north", "south"}
    assert [record.payload for record in link.records] == link.journal
    status = link.gateway.status
    assert (status.rung, status.why, status.is_linked) == (Rung.PLOTS, "", True)
    assert (status.stored, status.acknowledged, status.held) == (5, 5, 0)
    assert status.rate > 0.0


def test_a_late_joiner_has_the_whole_picture_within_half_a_second_of_the_link():
    link = SimulatedLink(tracks=20_000, plots_per_second=0)
    link.cut()
    link.run(5.0)
    link.heal()
    link.until(lambda: link.gateway.status.is_linked)
    assert link.until(lambda: len(link.uids()) == 20_000) <= 0.6


def test_before_the_partner_answers_nothing_but_hello_and_beats_leaves():
    link = SimulatedLink()
    link.cut()
    link.run(10.0)
    assert {name for _, name, _ in link.outlet.handed} == {"hello", "beat"}
    assert link.gateway.status.why == "the partner does not answer"


def test_names_of_sensors_that_are_not_released_never_leave():
    link = SimulatedLink()
    link.run(5.0)
    assert handed(link, "plots")
    assert not any(b"secret" in payload for _, _, payload in link.outlet.handed)


def test_plots_go_as_rows_of_the_released_sensors():
    link = SimulatedLink()
    link.run(5.0)
    sent = [message for message in decoded(link, "plots") if isinstance(message, Plots)]
    assert {message.sensor_names for message in sent} == {("north", "south")}
    assert set(np.concatenate([message.plots.sensor for message in sent]).tolist()) == {0, 1}


def test_a_capped_policy_gives_no_plots():
    link = SimulatedLink(policy=make_policy(b'rung = "tracks"\n' + ALL))
    link.run(5.0)
    assert link.gateway.status.rung is Rung.TRACKS
    assert link.uids()
    assert not handed(link, "plots")


@pytest.mark.parametrize("rung", [Rung.ALERTS, Rung.ALONE])
def test_a_suspended_partner_gets_no_tracks_and_a_reader_that_joins_gets_no_old_ones(rung: Rung):
    link = SimulatedLink()
    link.run(5.0)
    assert link.uids()
    link.gateway.ladder.suspend(rung, "talks broke off")
    link.outlet.handed.clear()
    record = link.write()
    link.run(5.0)
    assert {name for _, name, _ in link.outlet.handed} <= {"hello", "beat", "journal"}
    assert (record in link.arrived) == (rung is Rung.ALERTS)
    assert link.uids() == set()  # the partner's own picture was emptied by what it was told
    assert link.reader.status.rung is rung
    link.bravo.close()
    joined = link.network.engine("BRAVO").inlet("ALPHA")
    link.run(3.0)
    assert {message.subject for message in joined.take()} <= {"hello", "beat"}
    assert link.gateway.status.why == "suspended: talks broke off"


@pytest.mark.parametrize(
    ("journal", "reason"), [(b"", ""), (b'journal = ["suspended"]\n', "talks broke off")]
)
@pytest.mark.parametrize("rung", [Rung.ALERTS, Rung.ALONE])
def test_a_partner_is_told_that_it_is_suspended_and_why_as_far_as_the_policy_gives_reasons(
    rung: Rung, journal: bytes, reason: str
):
    link = SimulatedLink(policy=make_policy(journal + ALL))
    link.run(3.0)
    assert link.reader.status.suspends_us is None
    link.gateway.ladder.suspend(rung, "talks broke off")
    link.run(1.0)
    assert link.reader.status.suspends_us == reason
    assert any(b"talks broke off" in payload for _, _, payload in link.outlet.handed) == bool(reason)
    link.gateway.ladder.resume()
    link.run(1.0)
    assert link.reader.status.suspends_us is None
    link.gateway.ladder.suspend(rung, "x" * 1000)  # longer than a message holds
    link.run(1.0)
    assert link.reader.status.suspends_us == ("x" * 200 if reason else "")
    link.cut()
    link.run(6.0)
    assert link.reader.status.suspends_us is None  # nobody knows


def test_what_a_suspension_held_follows_when_it_ends():
    link = SimulatedLink()
    link.run(3.0)
    link.gateway.ladder.suspend(Rung.ALONE, "talks broke off")
    for _ in range(3):
        link.write()
        link.run(1.0)
    assert link.gateway.status.held == 3
    link.gateway.ladder.resume()
    link.run(3.0)
    assert [record.payload for record in link.records] == link.journal
    assert len(link.uids()) == 100
    assert link.gateway.status.rung is Rung.PLOTS


def test_a_tightened_policy_takes_back_what_it_no_longer_releases():
    link = SimulatedLink()
    link.run(5.0)
    assert link.uids()
    link.gateway.policy = make_policy(b'[[tracks]]\nname = "high"\nfloor_ft = 50000\n')
    link.outlet.handed.clear()
    link.run(3.0)
    assert link.uids() == set()
    assert not any(len(m.report) for m in decoded(link, "tile") if isinstance(m, Tracks))
    assert not handed(link, "plots")
    assert [m.sensors for m in decoded(link, "sensors") if isinstance(m, Sensors)] == [()]


def test_delayed_tracks_leave_when_they_are_old_enough_and_each_track_once():
    policy = make_policy(
        b"""
[[tracks]]
name = "fresh in the west"
area = { south_deg = -90, west_deg = -180, north_deg = 90, east_deg = 0.02865 }
[[tracks]]
name = "late elsewhere"
delay_s = 10
"""
    )
    link = SimulatedLink(tracks=100, policy=policy)
    link.until_on(Rung.PLOTS)
    link.run(20.0)
    assert link.uids() == set(range(1, 101))
    tiles = [message for message in decoded(link, "tile") if isinstance(message, Tracks)]
    assert {message.tiles for message in tiles} == {128}
    for (time, _), tile in zip(handed(link, "tile"), tiles, strict=True):
        if len(tile.report) and (tile.report.longitude > np.radians(0.02866)).any():
            assert time - tile.report.time >= 10.0
    assert link.report is not None
    assert np.unique(link.report.uid, axis=0).shape == link.report.uid.shape


def test_a_track_that_need_wait_no_more_is_not_given_a_second_time_when_its_delay_is_over():
    policy = make_policy(
        b"""
[[tracks]]
name = "fresh in the north"
area = { south_deg = 50.01, west_deg = -180, north_deg = 90, east_deg = 180 }
[[tracks]]
name = "late elsewhere"
delay_s = 10
"""
    )
    link = SimulatedLink(tracks=10, policy=policy)
    link.run(7.0)  # they fly into the north after 6 s
    link.outlet.handed.clear()
    link.run(15.0)
    tiles = [message for message in decoded(link, "tile") if isinstance(message, Tracks)]
    assert sum(len(tile.report) for tile in tiles if tile.tile < 64) > 100
    assert sum(len(tile.report) for tile in tiles if tile.tile >= 64) == 0


def test_delayed_plots_leave_once_and_when_they_are_old_enough():
    policy = make_policy(b'[[plots]]\nname = "late"\nsensors = ["north"]\ndelay_s = 3\n')
    link = SimulatedLink(plots_per_second=50, policy=policy)
    link.until_on(Rung.PLOTS)
    link.run(20.0)
    sent = [(time, decode(payload)) for time, payload in handed(link, "plots")]
    assert all(message.plots.received.max() + 3.0 <= time for time, message in sent)
    received = np.concatenate([message.plots.received for _, message in sent])
    assert len(np.unique(received)) == len(received)
    assert len(received) == pytest.approx(50 / 3 * 17, abs=10)


def test_plots_that_waited_for_more_than_a_second_are_dropped_and_counted():
    link = SimulatedLink(tracks=0, plots_per_second=5_000)
    link.make_thin(**THIN)
    link.until_on(Rung.PLOTS)
    link.run(3.0)
    status = link.gateway.status
    assert status.plots_dropped > 0
    assert status.plots_waiting <= OLDEST_PLOTS


def test_a_thin_link_leaves_the_rungs_that_do_not_fit_and_tries_again_less_and_less():
    link = SimulatedLink(tracks=20_000, plots_per_second=100)
    link.make_thin(**THIN)
    link.until_on(Rung.PLOTS)
    link.until_on(Rung.TRACKS)
    link.until_on(Rung.ALERTS)
    assert link.gateway.status.why == "the link is too thin for tracks"
    link.until(lambda: link.reader.status.rung is Rung.ALERTS)
    link.run(1.0)
    assert link.uids() == set()
    first = link.until_on(Rung.TRACKS)
    link.until_on(Rung.ALERTS)
    assert link.until(lambda: link.gateway.status.rung is Rung.TRACKS, 300.0) > 1.5 * first


def test_a_smaller_picture_fits_the_thin_link():
    link = SimulatedLink(tracks=500, plots_per_second=20)
    link.make_thin(**THIN)
    link.until_on(Rung.PLOTS)
    link.run(60.0)
    assert link.gateway.status.rung is Rung.PLOTS
    assert len(link.uids()) == 500
    assert link.gateway.status.plots_dropped == 0


@pytest.mark.parametrize("latency", [0.05, 0.5])
def test_at_100_kb_a_second_with_20_000_tracks_a_record_arrives_within_2_s(latency: float):
    link = SimulatedLink(tracks=20_000, plots_per_second=200)
    link.make_thin(100_000.0, latency)
    link.until_on(Rung.PLOTS)
    path = link.network.path("ALPHA", "BRAVO")
    rungs = set()
    written = []
    flight = 0
    for _ in range(120):
        written.append(link.write())
        for _ in range(25):
            link.step()
            flight = max(flight, path.waiting)
            rungs.add(link.gateway.status.rung)
    link.run(3.0)
    assert rungs == {Rung.PLOTS, Rung.TRACKS, Rung.ALERTS}
    assert max(link.delay(record) for record in written) <= 2.0
    assert flight <= 100_000  # a second of data


@pytest.mark.parametrize("tracks", [600, 20_000])
def test_stalls_of_2_s_delay_a_record_by_no_more_than_they_last(tracks: int):
    link = SimulatedLink(tracks=tracks, plots_per_second=200)
    link.make_thin(**THIN)
    link.until_on(Rung.PLOTS)
    path = link.network.path("ALPHA", "BRAVO")
    stalls, written = [], []
    flight = 0
    for second in range(60):
        if second % 10 == 5:
            stalls.append(link.now)
            link.network.stall("ALPHA", "BRAVO", 2.0)
        written.append(link.write())
        for _ in range(50):
            link.step()
            flight = max(flight, path.waiting)
    link.run(5.0)
    for record in written:
        begin, end = link.written[record], link.arrived[record]
        stalled = sum(max(0.0, min(end, at + 2.0) - max(begin, at)) for at in stalls)
        assert end - begin - stalled <= 2.0
    assert flight <= 130_000  # records and beats go on while it stands still
    assert link.gateway.status.is_linked


def test_a_cut_is_noticed_and_after_it_the_first_climb_is_immediate():
    link = SimulatedLink()
    link.run(5.0)
    link.cut()
    assert link.until_on(Rung.ALONE) <= DOWN_AFTER + 0.5
    link.outlet.handed.clear()
    link.run(20.0)
    assert {name for _, name, _ in link.outlet.handed} == {"hello", "beat"}
    link.heal()
    assert link.until_on(Rung.PLOTS) <= 3.0


def test_a_link_of_which_only_the_way_back_is_cut_counts_as_cut_on_both_sides():
    link = SimulatedLink()
    link.run(5.0)
    link.network.cut("BRAVO", "ALPHA")
    link.until_on(Rung.ALONE)
    link.run(1.0)
    assert link.reader.status.rung is Rung.ALONE
    link.network.heal("BRAVO", "ALPHA")
    link.until_on(Rung.PLOTS)


def test_a_link_of_which_only_the_way_there_is_cut_counts_as_cut_on_both_sides():
    link = SimulatedLink()
    link.run(5.0)
    link.network.cut("ALPHA", "BRAVO")
    link.until_on(Rung.ALONE)
    link.until(lambda: link.reader.status.rung is Rung.ALONE, 1.0)
    link.network.heal("ALPHA", "BRAVO")
    link.until_on(Rung.PLOTS)


def test_a_flapping_link_serves_whenever_it_is_there():
    link = SimulatedLink(tracks=50)
    link.run(5.0)
    for _ in range(20):
        link.write()
        link.cut()
        link.run(6.0)
        assert link.gateway.status.rung is Rung.ALONE
        link.heal()
        assert link.until_on(Rung.PLOTS) <= 3.0
        link.run(2.0)
        assert len(link.uids()) == 50
    assert [record.payload for record in link.records] == link.journal


def test_a_partner_whose_copy_of_the_journal_stands_still_gets_tracks_all_the_same():
    link = SimulatedLink(tracks=2_000)
    link.until_on(Rung.PLOTS)
    link.network.set_disk_full("BRAVO", True)
    for _ in range(20):
        link.write(size=50_000)
    link.run(15.0)
    assert link.report is not None
    assert link.report.time > link.now - 2.5
    assert link.gateway.status.acknowledged == 0
    link.network.set_disk_full("BRAVO", False)
    link.run(3.0)
    assert link.gateway.status.acknowledged == 20


def test_a_full_disk_of_ours_shows_in_what_is_stored():
    link = SimulatedLink()
    link.run(2.0)
    link.network.set_disk_full("ALPHA", True)
    link.write()
    link.run(2.0)
    assert link.gateway.status.stored == 0
    link.network.set_disk_full("ALPHA", False)
    link.run(2.0)
    assert link.gateway.status.stored == 1
    assert len(link.records) == 1


def test_an_engine_that_lost_its_last_values_gets_them_again():
    link = SimulatedLink(tracks=50)
    link.run(5.0)
    link.network.restart("ALPHA")
    link.bravo.close()
    link.wake_bravo()
    link.run(15.0)
    assert len(link.uids()) == 50
    assert link.reader.status.hello is not None


def test_a_track_goes_even_if_the_word_that_it_is_gone_was_lost():
    link = SimulatedLink(tracks=50)
    link.run(5.0)
    link.cut()
    link.tracks = 49
    link.run(3.0)
    link.network.restart("ALPHA")
    link.heal()
    link.until_on(Rung.PLOTS)
    link.run(15.0)
    assert link.uids() == set(range(1, 50))


def test_an_acknowledgement_that_is_not_new_does_not_prove_that_the_way_there_is_whole():
    link = SimulatedLink()
    link.run(5.0)
    stale = Ack(epoch=link.gateway.epoch, sequence=1, time=link.now, live=1, values=1, journal=0)
    path = link.network.path("ALPHA", "BRAVO")
    path.bytes_per_second = 1.0  # nothing gets through any more
    inlet = link.bravo.inlet("ALPHA")
    for _ in range(100):
        inlet.reply("ack", encode_ack(stale))
        link.run(0.1)
    assert link.gateway.status.rung is Rung.ALONE


def test_a_new_start_is_a_new_epoch_and_records_go_on_where_they_were():
    link = SimulatedLink(tracks=50)
    link.write()
    link.run(5.0)
    link.alpha.close()
    link.run(1.0)
    link.wake_alpha()
    link.write()
    link.until_on(Rung.PLOTS)
    link.run(2.0)
    assert [record.payload for record in link.records] == link.journal
    assert len(link.uids()) == 50
    beats = [message for message in decoded(link, "beat") if isinstance(message, Beat)]
    assert {beat.epoch for beat in beats} == {link.gateway.epoch}


def test_hello_says_who_we_are_what_we_offer_and_that_it_is_an_exercise():
    link = SimulatedLink(policy=make_policy(b'rung = "tracks"\n' + ALL))
    link.gateway.exercise = "EAST-1"
    link.run(3.0)
    hello = decoded(link, "hello")[-1]
    assert isinstance(hello, Hello)
    assert (hello.centre, hello.rung) == ("ALPHA", Rung.TRACKS)
    assert (hello.mode, hello.exercise) == ("exercise", "EAST-1")
    assert hello.reference == SENSORS.reference


def test_what_is_simulated_leaves_and_is_taken_only_while_an_exercise_is_on():
    link = SimulatedLink(tracks=100, simulated=40)
    link.until_on(Rung.PLOTS)
    link.run(3.0)
    assert len(link.uids()) == 60
    assert not any(plots.is_simulated.any() for plots in link.plots)
    link.gateway.exercise = "EAST-1"
    link.run(3.0)
    assert len(link.uids()) == 60, "the reader knows of no exercise"
    assert not any(plots.is_simulated.any() for plots in link.plots)
    assert link.reader.status.refused["simulated, and no exercise is on"] > 0
    link.reader.takes_simulated = True
    link.run(3.0)
    assert link.report is not None and link.report.is_simulated.sum() == 40
    assert len(link.uids()) == 100
    assert any(plots.is_simulated.any() for plots in link.plots)
    link.gateway.policy = link.policy  # a policy that is read anew changes nothing of it
    link.run(3.0)
    assert len(link.uids()) == 100
    link.gateway.exercise = ""
    link.run(0.1)
    link.plots.clear()
    link.run(3.0)
    assert len(link.uids()) == 60
    assert link.plots and not any(plots.is_simulated.any() for plots in link.plots)


def test_the_reader_lets_go_of_what_is_simulated_at_once_when_its_side_ends_the_exercise():
    link = SimulatedLink(tracks=100, simulated=40)
    link.gateway.exercise = "EAST-1"
    link.reader.takes_simulated = True
    link.until(lambda: len(link.uids()) == 100)
    link.cut()
    link.run(2.0)
    link.reader.takes_simulated = False
    link.run(0.1)
    assert len(link.uids()) == 60
    assert link.report is not None and not link.report.is_simulated.any()


def test_delayed_simulated_tracks_that_wait_do_not_leave_after_the_exercise():
    link = SimulatedLink(tracks=100, simulated=40, policy=make_policy(LATE))
    link.gateway.exercise = "EAST-1"
    link.reader.takes_simulated = True
    link.until(lambda: len(link.uids()) == 100)
    link.gateway.exercise = ""
    handed = len(link.outlet.handed)
    link.run(15.0)
    assert len(link.uids()) == 60
    late = [decode(payload) for _, subject, payload in link.outlet.handed[handed:] if subject != "journal"]
    assert not any(one.report.is_simulated.any() for one in late if isinstance(one, Tracks))
    assert not any(one.plots.is_simulated.any() for one in late if isinstance(one, Plots))


def test_a_target_that_is_gone_leaves_the_partner_s_picture_too():
    link = SimulatedLink(tracks=50)
    link.run(4.0)
    link.tracks = 49
    link.run(2.0)
    assert link.uids() == set(range(1, 50))


@settings(max_examples=15, deadline=None)
@given(payload=binary(max_size=200))
def test_what_a_partner_sends_back_can_not_harm_the_gateway(payload: bytes):
    link = SimulatedLink(tracks=5)
    link.run(3.0)
    forged = Ack(epoch=link.gateway.epoch, sequence=1, time=0.0, live=2**62, values=2**62, journal=2**62)
    for subject, content in (("ack", payload), ("other", payload), ("ack", encode_ack(forged))):
        link.bravo.inlet("ALPHA").reply(subject, content)
    link.run(3.0)
    status = link.gateway.status
    assert status.refused >= 1
    assert status.acknowledged == 0
    assert status.rung is Rung.PLOTS


def test_a_step_needs_no_answer_from_the_engine():
    class DeadOutlet:
        stored = 0
        wanted = None

        def publish(self, subject: str, payload: bytes) -> None: ...

        def put(self, subject: str, payload: bytes) -> None: ...

        def clear(self) -> None: ...

        def append(self, sequence: int, payload: bytes) -> None: ...

        def take(self) -> list[Message]:
            return []

    gateway = Gateway("ALPHA", "BRAVO", DeadOutlet(), make_policy(), epoch=1)
    for step in range(500):
        now = START + step * 0.02
        plots = make_plots(1, received=now)
        gateway.step(now, make_report(10, now), plots, SENSORS, make_health(now), [(step + 1, b"record")])
    assert gateway.status.rung is Rung.ALONE
    assert (gateway.status.held, gateway.status.plots_waiting, gateway.status.tracks_waiting) == (0, 0.0, 0.0)
