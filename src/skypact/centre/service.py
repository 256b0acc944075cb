"""A centre as a running service: receives, tracks, and hands out a picture each period.

Receiving has a thread, tracking has a thread (its kernels release the interpreter), and the event
loop serves the pages. A centre that is handed a simulated clock and a recording does all of it
in step with that clock, and repeatably.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import uvicorn

from skypact.centre.ages import SourceAges
from skypact.centre.certificates import find_or_make_certificate, is_loopback
from skypact.centre.control import ControlServer, ask_centre
from skypact.centre.ingest import DatagramFeed, Ingest, warm_up
from skypact.centre.number_file import FILE as NUMBER_FILE
from skypact.centre.number_file import NumberFile
from skypact.centre.outcomes import OutcomeCounter
from skypact.centre.output import PictureSender
from skypact.centre.pipeline import Pipeline
from skypact.centre.settings import CentreSettings, DisplaySettings
from skypact.core.arrays import Floats1
from skypact.core.clock import Clock, SystemClock
from skypact.core.errors import BadInputError
from skypact.display.hub import DisplayHub
from skypact.display.model import CentreInfo
from skypact.display.server import create_app, make_server
from skypact.display.views import PartnerViews
from skypact.exchange.model import Rung
from skypact.plots.model import PlotBatch, join_plots
from skypact.sensors.model import SensorHealth, SensorTable
from skypact.sensors.receive import UdpReceiver
from skypact.tracks.model import Picture
from skypact.tracks.tracker import Tracker

if TYPE_CHECKING:
    from skypact.centre.exchange import Exchange
    from skypact.centre.federation import Federation

log = logging.getLogger(__name__)

STEP = 0.02  # s between two looks at what arrived
HEALTH_PERIOD = 1.0  # s
STATUS_PERIOD = 60.0  # s between log lines about the flow
BEHIND = 1.0  # s that tracking may lag before it is said


class TakesSensors(Protocol):
    """Has to know of sensors that partners add to the table."""

    def add_sensors(self, sensors: SensorTable) -> None:
        """Go on with a longer table that begins with the present sensors."""
        ...


@dataclass
class Centre:
    """Stages from datagrams to pictures, joined; `step` moves them on, `run` does so at the clock's pace."""

    settings: CentreSettings
    feed: DatagramFeed
    clock: Clock = field(default_factory=SystemClock)
    federation: "Federation | None" = None  # None: the centre has no partners
    on_picture: list[Callable[[Picture], None]] = field(default_factory=list)
    on_plots: list[Callable[[PlotBatch], None]] = field(default_factory=list)
    on_health: list[Callable[[list[SensorHealth]], None]] = field(default_factory=list)
    on_sensors: list[TakesSensors] = field(default_factory=list)
    number_file: NumberFile | None = None  # None: a restart may give out numbers that rest
    pace: float = STEP  # s from one step to the next; the pictures do not depend on it
    plots: int = 0
    pictures: int = 0

    def __post_init__(self) -> None:
        """Join the stages."""
        now = self.clock.now()
        self.ingest = Ingest(self.feed, self.settings.sensors, self.settings.rules)
        named = replace(self.settings.tracker, centre=self.settings.name)
        self.tracker = Tracker(self.settings.sensors, named)
        if self.number_file is not None:
            self.tracker.rest_numbers(self.number_file.last_used)
            if self.federation is not None:
                self.federation.rest_numbers(self.number_file.last_used)
        self.pipeline = Pipeline(self.tracker, self.settings.period)
        self.ages = SourceAges(self.settings.sensors)
        self.outcomes = OutcomeCounter(self.settings.sensors)
        self._health: list[SensorHealth] = []  # the latest
        self._next_health = -float("inf")
        self._next_status = now + STATUS_PERIOD
        self._losses: dict[str, int] = {}
        self._delays: deque[float] = deque(maxlen=600)  # s from a picture's time until it was handed out

    def step(self) -> None:
        """Take what arrived, track it, and hand out the pictures and the health that fell due."""
        plots, closed = self.ingest.take()
        self.plots += len(plots)
        if closed == -float("inf"):
            return  # nothing has been heard yet, not even silence
        if self.federation is not None:
            plots = self._with_partners(self.federation, plots, closed)
        if len(plots):
            self.ages.note_plots(plots)
            self.outcomes.add(plots.sensor)
            for take_plots in self.on_plots:
                take_plots(plots)
        pictures = self.pipeline.feed(plots) + self.pipeline.advance(closed)
        settled = self.tracker.take_outcomes()
        self.ages.note_outcomes(settled)
        self.outcomes.settle(settled)
        for own in pictures:
            self.pictures += 1
            picture = own if self.federation is None else self.federation.complete(own)
            for take_picture in self.on_picture:
                take_picture(picture)
            if self.feed.is_live:
                self._delays.append(self.clock.now() - picture.time)
        if pictures and self.number_file is not None:
            self.number_file.note(self._numbers_used(pictures[-1].time), pictures[-1].time)
        if closed >= self._next_health:
            self._next_health = closed + HEALTH_PERIOD
            health = self.ingest.health.report(closed)
            self._health = self.outcomes.add_to(health, closed, self.ingest.filtered)
            if self.federation is not None:
                self.federation.take_health(self._health)
            for take_health in self.on_health:
                take_health(self._health)

    def close(self) -> None:
        """Keep which track numbers rest; nothing is stepped any more."""
        if self.number_file is not None:
            now = self.clock.now()
            self.number_file.close(self._numbers_used(now), now)

    def _numbers_used(self, now: float) -> Floats1:
        """(32768,) when each of our numbers was used last, UTC s since 1970; -inf for never."""
        used = self.tracker.numbers_used(now)
        return used if self.federation is None else np.maximum(used, self.federation.numbers_used)

    def _with_partners(self, federation: "Federation", plots: PlotBatch, closed: float) -> PlotBatch:
        """Our plots and those that partners gave meanwhile; what is ours goes to them."""
        theirs = federation.step(self.clock.now(), plots)
        if len(federation.sensors) > len(self.tracker.sensor_table):
            stages: list[TakesSensors] = [self.tracker, self.ages, *self.on_sensors]
            for stage in stages:
                stage.add_sensors(federation.sensors)
        if len(withdrawn := federation.take_withdrawn()):
            self.tracker.end_simulated(withdrawn)
        if len(theirs) == 0:
            return plots
        arrived = replace(theirs, received=np.full(len(theirs), closed))
        return join_plots([plots, arrived])

    async def run(self, stop: asyncio.Event, worker: ThreadPoolExecutor | None = None) -> None:
        """Step until `stop` is set; on `worker` where one is given, else on the event loop itself."""
        loop = asyncio.get_running_loop()
        self.feed.start()
        try:
            while not stop.is_set():
                began = self.clock.now()
                if worker is None:
                    self.step()
                else:
                    await loop.run_in_executor(worker, self.step)
                self._log_status(began)
                await self.clock.sleep_until(began + self.pace)
        finally:
            self.feed.stop()

    def _log_status(self, began: float) -> None:
        now = self.clock.now()
        if now - began > BEHIND:
            log.warning("tracking is behind", extra={"seconds": round(now - began, 2)})
        if now >= self._next_status:
            self._next_status = now + STATUS_PERIOD
            log.info("flow", extra={"plots": self.plots, "pictures": self.pictures, **self._delay_facts()})
            for sensor in self._health:
                log.info("outcomes of plots", extra={"sensor": sensor.name, **sensor.outcomes})
            losses = self.feed.read_losses() | self.ingest.health.other_errors
            if losses != self._losses and any(losses.values()):
                log.warning("lost or refused", extra={key.replace(" ", "_"): n for key, n in losses.items()})
            self._losses = losses

    def _delay_facts(self) -> dict[str, float]:
        """Milliseconds from a picture's time until it was handed out: median and 99th percentile."""
        if not self._delays:
            return {}
        half, most = np.percentile(self._delays, [50, 99]) * 1000.0
        return {"delay_p50_ms": round(float(half), 1), "delay_p99_ms": round(float(most), 1)}


class _Server(uvicorn.Server):
    """A web server that leaves signals to the centre, so that a wanted end is no failure."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals as they are."""
        yield


async def serve(
    settings: CentreSettings,
    feed: DatagramFeed | None = None,
    *,
    for_seconds: float | None = None,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Run a centre with its web page until SIGINT or SIGTERM, or for a time.

    Args:
        settings: of the centre.
        feed: where datagrams come from; None receives the inputs of the settings.
        for_seconds: how long to run; None for ever.
        ready: called with the address of the page once it is served.

    Raises:
        BadInputError: a port can't be used, or the certificate can't be made.
    """
    warm_up(settings.sensors)
    hub = DisplayHub()
    views = PartnerViews(hub)
    clock = SystemClock()
    listening, server = _make_server(settings, views)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listening.close)
        exchange: Exchange | None = None
        federation: Federation | None = None
        if settings.exchange is not None:
            # Imported here, since a centre without partners does without the kernels of the exchange.
            from skypact.centre.exchange import open_exchange
            from skypact.centre.partner_view import ViewPublisher

            exchange = open_exchange(settings, clock)
            stack.callback(exchange.close)
            federation = exchange.federation
            federation.on_partners.append(views.publish_partners)
            federation.on_given.append(ViewPublisher(views, federation.view).publish)
            federation.on_words.append(hub.publish_words)
        numbers: NumberFile | None = None
        if feed is None:
            writer = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="numbers"))
            numbers = NumberFile(settings.data / NUMBER_FILE, clock.now(), writer)
        inputs = feed or UdpReceiver(list(settings.inputs))
        centre = Centre(settings, inputs, clock, federation, number_file=numbers)
        stack.callback(centre.close)
        units = {settings.name: settings.system_unit} if federation is None else federation.units
        sender = PictureSender(settings.outputs, settings.sensors, centre.ages, units)
        stack.callback(sender.close)
        centre.on_picture += [hub.publish_picture, sender.send]
        centre.on_health += [views.publish_health]
        centre.on_sensors += [sender]
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
            stack.callback(loop.remove_signal_handler, number)
        if for_seconds is not None:
            loop.call_later(for_seconds, stop.set)
        log.info("centre started", extra={"centre": settings.name, "sensors": len(settings.sensors)})
        worker = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="track"))
        if federation is not None:
            control = ControlServer(settings.data, _handlers(federation, clock, worker))
            await control.start()
            stack.push_async_callback(control.stop)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        tracking = asyncio.create_task(centre.run(stop, worker))
        if exchange is not None:
            watching = asyncio.create_task(exchange.watch_trust(worker))
            stack.callback(watching.cancel)
        stopping = asyncio.create_task(stop.wait())
        while not (server.started or serving.done()):
            await asyncio.sleep(0.01)
        if server.started:
            ready(_page_address(settings.display, listening.getsockname()[1]))
        await asyncio.wait({serving, tracking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        server.should_exit = True
        await asyncio.gather(serving, tracking, stopping)
        log.info("centre stopped", extra={"plots": centre.plots, "pictures": centre.pictures})


def _handlers(
    federation: "Federation", clock: Clock, worker: ThreadPoolExecutor
) -> dict[str, Callable[[dict[str, Any]], Awaitable[Any]]]:
    """The commands that a running centre carries out; on the thread of the tracker, between two steps."""
    from skypact.centre.partner_view import view_record

    def on_worker(act: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Awaitable[Any]]:
        async def handle(request: dict[str, Any]) -> Any:
            try:
                return await asyncio.get_running_loop().run_in_executor(worker, act, request)
            except KeyError as error:
                raise BadInputError(f"{error.args[0]} is missing", "command") from None

        return handle

    def suspend(request: dict[str, Any]) -> None:
        rung = Rung[str(request["rung"]).upper()]
        federation.suspend(request["partner"], rung, request["by"], request["reason"], clock.now())

    def resume(request: dict[str, Any]) -> None:
        federation.resume(request["partner"], request["by"], request["reason"], clock.now())

    def begin(request: dict[str, Any]) -> None:
        federation.begin_exercise(request["exercise"], request["by"], request["reason"], clock.now())

    def end(request: dict[str, Any]) -> None:
        federation.end_exercise(request["exercise"], request["by"], request["reason"], clock.now())

    def judge(say: Callable[[str, str, str, str, float], None]) -> Callable[[dict[str, Any]], None]:
        return lambda request: say(
            request["one"], request["other"], request["by"], request["reason"], clock.now()
        )

    return {
        "same": on_worker(judge(federation.manual.say_same)),
        "different": on_worker(judge(federation.manual.say_different)),
        "release": on_worker(judge(federation.manual.release)),
        "words": on_worker(lambda request: federation.manual.words()),
        "partners": on_worker(lambda request: federation.states(clock.now())),
        "view": on_worker(lambda request: view_record(federation.view(request["partner"]))),
        "suspend": on_worker(suspend),
        "resume": on_worker(resume),
        "begin exercise": on_worker(begin),
        "end exercise": on_worker(end),
    }


def _make_server(settings: CentreSettings, views: PartnerViews) -> tuple[socket.socket, uvicorn.Server]:
    display = settings.display
    certificate, key = display.certificate, display.key
    if certificate is None and not is_loopback(display.host):
        made = find_or_make_certificate(settings.data, display.host)
        certificate, key = made.certificate, made.key
    info = CentreInfo(
        settings.name,
        settings.sensors.reference,
        settings.sensors,
        _link_cutter(settings),
        None if settings.exchange is None else _judge(settings.data),
    )
    app = create_app(views.own, info=info, views=views)
    server = make_server(app, display.host, display.port, certificate, key)
    try:
        # Bound here, so that a port in use is one clear line before anything starts.
        listening = socket.create_server((display.host, display.port))
    except OSError as error:
        raise BadInputError(
            f"can't serve the page: {os.strerror(error.errno) if error.errno else error}",
            f"{display.host}:{display.port}",
            "choose another port",
        ) from None
    return listening, _Server(server.config)


def _link_cutter(settings: CentreSettings) -> Callable[[bool], None] | None:
    """What the page's button does in the demo: it asks the demo, which holds the line."""
    folder = settings.demo
    if folder is None:
        return None
    return lambda cut: ask_centre(folder, "cut" if cut else "heal")


def _judge(folder: Path) -> Callable[[str, dict[str, str]], None]:
    """What the page and programs say of pairs of tracks: as a command, on the thread of the tracker."""

    def say(verdict: str, said: dict[str, str]) -> None:
        ask_centre(folder, verdict, **said)

    return say


def _page_address(display: DisplaySettings, port: int) -> str:
    is_secure = display.certificate is not None or not is_loopback(display.host)
    host = socket.gethostname() if display.host in ("0.0.0.0", "::") else display.host
    return f"{'https' if is_secure else 'http'}://{host}:{port}"
