"""Where the centre hands over what its web pages show: the latest picture, and events in order.

The centre publishes from its own threads; each page is served on an event loop. A page that is
slow misses pictures (one slot each, always holding the newest) and never an event: events are kept
in a log of limited length, and a page that fell behind it starts again from a snapshot.
"""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np

from skypact.core.text import callsigns_to_text
from skypact.display.frame import FrameFlag, encode_frame
from skypact.exchange.model import PartnerState, TrackWord
from skypact.sensors.model import SensorHealth
from skypact.tracks.model import Picture

HISTORY_FRAMES = 5  # earlier pictures kept for trails
HISTORY_PERIOD = 8.0  # s between them: about one turn of an en-route radar
EVENTS_KEPT = 4096
EVENT_TEXT_KEPT = 4_000_000  # characters of all events kept


class TrackName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a track seldom changes, and so is not in the frames."""

    number: int
    uid: str  # 32 hex digits
    joint: str = ""  # joint track number, as in ALPHA-00017
    centres: tuple[str, ...] = ()  # whose tracks are in it
    callsign: str | None = None
    address: str | None = None  # six hex digits
    withheld: tuple[str, ...] = ()  # fields that we know and the partner does not get, where it is its view


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the event stream; ids rise within an epoch."""

    id: int
    epoch: int
    kind: str  # snapshot, tracks, sensors, partners, names, words, view
    data: Any


class SentEvent(NamedTuple):
    """An event as it goes to the pages: encoded once for all."""

    id: int
    text: str


@dataclass(eq=False)
class Subscriber:
    """Wakes one page's task when something new is there."""

    loop: asyncio.AbstractEventLoop
    fresh: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Set `fresh`, from any thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.fresh.set)


class DisplayHub:
    """The centre's side of its web pages; every method may be called from any thread."""

    def __init__(self, history_period: float = HISTORY_PERIOD) -> None:
        """Args: `history_period` is the time between the pictures kept for trails, s."""
        self.epoch = secrets.randbits(32)  # tells a page that the centre started anew
        self.history_period = history_period
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._frame: bytes | None = None
        self._history: deque[tuple[float, bytes]] = deque(maxlen=HISTORY_FRAMES)
        self._health: list[SensorHealth] = []
        self._names: dict[int, TrackName] = {}
        self._known: dict[int, tuple[Any, ...]] = {}
        self._events: dict[int, SentEvent] = {}  # by id, oldest first
        self._event_text = 0  # characters of all events kept
        self._last_event = 0
        self._lost_event = 0  # newest event that is no longer kept for want of room
        self._newest: dict[str, int] = {}  # event of a kind of which only the newest is worth sending
        self._partners: list[PartnerState] = []
        self._words: list[TrackWord] = []
        self._view: dict[str, Any] | None = None  # of the partner whose view this is
        self._sensor_names: tuple[str, ...] = ()  # that the bits of frames point into
        self._subscribers: set[Subscriber] = set()

    def publish_picture(self, picture: Picture, withheld: Sequence[tuple[str, ...]] = ()) -> None:
        """Make `picture` the latest; encoded once, whatever the number of pages.

        Args:
            picture: of now.
            withheld: where this is a partner's view, for each track the fields that it does not get.
        """
        frame = encode_frame(picture, self.epoch)
        with self._lock:
            self._remember(picture)
            self._picture, self._frame = picture, frame
            if picture.sensor_names != self._sensor_names:
                self._sensor_names = picture.sensor_names
                self._append("names", self._sensor_names)
            changed, ended = self._update_names(picture, withheld or [()] * len(picture))
            if changed or ended:
                self._append("tracks", {"changed": changed, "ended": ended})
        self._wake_all()

    def publish_health(self, health: list[SensorHealth]) -> None:
        """Make `health` what is known of the sensors."""
        with self._lock:
            self._health = list(health)
            self._append_newest("sensors", self._health)
        self._wake_all()

    def publish_partners(self, partners: list[PartnerState]) -> None:
        """Make `partners` what is known of the exchange."""
        with self._lock:
            self._partners = list(partners)
            self._append_newest("partners", self._partners)
        self._wake_all()

    def publish_view(self, view: dict[str, Any]) -> None:
        """Say what of us the partner gets whose view this is."""
        with self._lock:
            self._view = view
            self._append_newest("view", view)
        self._wake_all()

    def publish_words(self, words: list[TrackWord]) -> None:
        """Make `words` what people said of pairs of tracks; pages are told when it changed."""
        with self._lock:
            if words == self._words:
                return
            self._words = list(words)
            self._append_newest("words", self._words)
        self._wake_all()

    def publish_event(self, kind: str, data: Any) -> int:
        """Append an event of another kind; returns its id."""
        with self._lock:
            event = self._append(kind, data)
        self._wake_all()
        return event.id

    @property
    def picture(self) -> Picture | None:
        """The latest picture."""
        return self._picture

    @property
    def frame(self) -> bytes | None:
        """The latest picture's frame: the same object for every page."""
        return self._frame

    @property
    def health(self) -> list[SensorHealth]:
        """The latest state of the sensors."""
        return self._health

    @property
    def words(self) -> list[TrackWord]:
        """What people said of pairs of tracks of the picture."""
        return self._words

    @property
    def partners(self) -> list[PartnerState]:
        """How the exchange with each partner stands."""
        return self._partners

    def history(self) -> list[bytes]:
        """Frames of earlier pictures, oldest first, each marked as history."""
        with self._lock:
            return [frame for _, frame in self._history]

    def subscribe(self) -> Subscriber:
        """A subscriber of the running event loop; end it with `unsubscribe`."""
        subscriber = Subscriber(asyncio.get_running_loop())
        with self._lock:
            self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        with self._lock:
            self._subscribers.discard(subscriber)

    @property
    def pages(self) -> int:
        """Connected streams, pictures and events counted apart."""
        return len(self._subscribers)

    def events_after(self, epoch: int | None, last: int | None) -> list[SentEvent]:
        """Events that follow id `last`, or one snapshot when they are no longer all kept."""
        with self._lock:
            if epoch == self.epoch and last is not None and self._lost_event <= last <= self._last_event:
                return [event for event in self._events.values() if event.id > last]
            data = {
                "tracks": list(self._names.values()),
                "sensors": self._health,
                "partners": self._partners,
                "words": self._words,
                "names": self._sensor_names,
                "view": self._view,
            }
            return [self._encode(self._last_event, "snapshot", data)]

    def track_names(self) -> dict[int, TrackName]:
        """Names of the tracks in the latest picture, by number."""
        with self._lock:
            return dict(self._names)

    def _remember(self, picture: Picture) -> None:
        if self._picture is not None and picture.time < self._picture.time:
            self._history.clear()  # a replay was set back: trails of later positions would be wrong
        if not self._history or picture.time >= self._history[-1][0] + self.history_period:
            frame = encode_frame(picture, self.epoch, FrameFlag.HISTORY)
            self._history.append((picture.time, frame))

    def _update_names(
        self, picture: Picture, withheld: Sequence[tuple[str, ...]]
    ) -> tuple[list[TrackName], list[int]]:
        """Names that are new or changed, and numbers of the tracks that are gone."""
        columns = (
            picture.uid[:, 0],
            picture.uid[:, 1],
            picture.callsign,
            picture.address,
            picture.joint_centre,
            picture.joint_number,
            picture.centres,
        )
        numbers = picture.number.tolist()
        lists = [column.tolist() for column in columns]
        known = dict(zip(numbers, zip(*lists, withheld, strict=True), strict=True))
        rows = [row for row, number in enumerate(numbers) if self._known.get(number) != known[number]]
        ended = [number for number in self._known if number not in known]
        self._known = known
        for number in ended:
            del self._names[number]
        callsigns = callsigns_to_text(picture.callsign[np.array(rows, dtype=np.intp)])
        changed = []
        for row, callsign in zip(rows, callsigns, strict=True):
            number = numbers[row]
            high, low, _, address, centre, joint, centres, kept = known[number]
            name = TrackName(
                number=number,
                uid=f"{high:016x}{low:016x}",
                joint=f"{picture.centre_names[centre]}-{joint:05d}",
                centres=tuple(name for bit, name in enumerate(picture.centre_names) if centres >> bit & 1),
                callsign=callsign,
                address=None if address < 0 else f"{address:06X}",
                withheld=kept,
            )
            self._names[number] = name
            changed.append(name)
        return changed, ended

    def _encode(self, number: int, kind: str, data: Any) -> SentEvent:
        event = Event(id=number, epoch=self.epoch, kind=kind, data=data)
        return SentEvent(number, msgspec.json.encode(event).decode())

    def _append(self, kind: str, data: Any) -> SentEvent:
        self._last_event += 1
        event = self._encode(self._last_event, kind, data)
        self._events[event.id] = event
        self._event_text += len(event.text)
        while len(self._events) > EVENTS_KEPT or self._event_text > EVENT_TEXT_KEPT:
            self._lost_event = next(iter(self._events))
            self._forget(self._lost_event)
        return event

    def _append_newest(self, kind: str, data: Any) -> None:
        """Append what replaces the last event of its kind, also for a page that was away."""
        self._forget(self._newest.get(kind, 0))
        self._newest[kind] = self._append(kind, data).id

    def _forget(self, number: int) -> None:
        event = self._events.pop(number, None)
        if event is not None:
            self._event_text -= len(event.text)

    def _wake_all(self) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.wake()
