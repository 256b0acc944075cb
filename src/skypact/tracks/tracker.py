"""The tracker: plot batches in, air picture and outcomes out."""

import numpy as np
from numpy.typing import NDArray

from skypact.core.arrays import Floats1, Floats2
from skypact.core.geodesy import enu_from_geodetic, enu_rotation
from skypact.plots.model import PlotBatch, PlotFlag
from skypact.sensors.model import FASTEST_UPDATE, SensorKind, SensorTable
from skypact.tracks.batch import process_batch
from skypact.tracks.clutter import MEMORY_LOOKS
from skypact.tracks.earth import make_frame
from skypact.tracks.identifiers import make_uids
from skypact.tracks.measurement import (
    P_SIGMA_ALTITUDE,
    PLOT_CODES,
    PLOT_REALS,
    S_ASKS,
    S_DETECTION,
    S_HAS_SITE,
    S_HEIGHT_GUESS,
    S_HEIGHT_SIGMA,
    S_PERIOD,
    S_REACH,
    S_REALS,
    S_SIGMA_AZIMUTH,
    S_SIGMA_ELEVATION,
    S_SIGMA_POSITION,
    S_SIGMA_RANGE,
    S_SPEED_SIGMA,
    Plots,
    Sensors,
)
from skypact.tracks.model import Identity, Outcomes, Picture, TargetKind
from skypact.tracks.motion import M_ENTRY, M_NOISE_ACROSS, M_TURN_SIGN, Motion, make_motion
from skypact.tracks.picturing import extrapolate_tracks, list_shown
from skypact.tracks.settings import TrackerSettings
from skypact.tracks.state import (
    ACTIVE,
    ACTIVE_LIST,
    B_NUMBER,
    B_OUTCOME,
    B_PLOT,
    B_REASON,
    B_SERIAL,
    NUMBERS_FIRST,
    NUMBERS_LEFT,
    NUMBERS_SHORT,
    OPEN_FREE,
    OPEN_OVERFLOWN,
    OUTCOMES,
    PAIRS_OVERFLOWN,
    T_ADDRESS,
    T_ALTITUDE,
    T_ALTITUDE_TIME,
    T_BORN,
    T_CALLSIGN,
    T_DUE,
    T_EXISTENCE,
    T_HIDDEN,
    T_HIT,
    T_MISSES,
    T_NUMBER,
    T_SERIAL,
    T_SIMULATED,
    T_SQUAWK,
    T_UPDATED,
    TRACKS_FREE,
    TRACKS_OVERFLOWN,
    Params,
    add_looks,
    add_passes,
    grow_open_plots,
    grow_tracks,
    make_book,
    make_looks,
    make_open_plots,
    make_tracks,
    make_work,
    read_only,
)

_DEFAULTS = TrackerSettings()
_NUMBERS = 32_767
_COASTING_MISSES = 2  # passes in a row without a plot that make a track coasting
_PAIRS_PER_PLOT = 24
_NOISE_OF_ANYTHING = 100.0  # m²/s³; a straight model with more fits every way of moving
_SHORT_REACH = 25_000.0  # m; sensors that reach no further watch drones and the like
_GARBLED_ALTITUDE_SIGMA = 300.0  # m
_ASKING = {
    SensorKind.SSR,
    SensorKind.MODE_S,
    SensorKind.ADSB,
    SensorKind.MLAT,
    SensorKind.REMOTE_ID,
}


class Tracker:
    """Tracks everything that the sensors of a table see; the same plots give the same tracks to the bit."""

    def __init__(self, sensors: SensorTable, settings: TrackerSettings = _DEFAULTS) -> None:
        self.sensor_table = sensors
        self.settings = settings
        self.plots_processed = 0
        self._sequence = 0
        self._frame = read_only(make_frame(sensors.reference))
        self._motion = read_only(make_motion())
        self._sensors = read_only(_sensor_arrays(sensors))
        self._params = read_only(_params(settings, self._sensors, self._motion))
        slots = settings.slots_initial
        models = len(self._motion.models)
        self._tracks = make_tracks(slots, models, len(sensors))
        self._open = make_open_plots(2 * slots)
        self._looks = make_looks(sensors.clutter_per_scan, MEMORY_LOOKS)
        self._work = make_work(0, 0, slots, models)
        self._book = make_book(_NUMBERS, 4 * slots)
        self._book.counts[TRACKS_FREE] = slots
        self._book.counts[OPEN_FREE] = 2 * slots
        self._settled: list[NDArray[np.int64]] = []

    def rest_numbers(self, last_used: Floats1) -> None:
        """Let track numbers rest that were used before the first plot.

        Args:
            last_used: (32768,) by number, UTC s since 1970; -inf for never.
        """
        assert self._book.counts[NUMBERS_LEFT] == _NUMBERS
        order = np.argsort(last_used[1:], kind="stable")
        self._book.numbers[:] = order + 1
        self._book.freed[:] = last_used[1:][order]

    def numbers_used(self, now: float) -> Floats1:
        """(32768,) when each track number was used last, UTC s since 1970: now while a track has it."""
        book = self._book
        first, left = book.counts[NUMBERS_FIRST], book.counts[NUMBERS_LEFT]
        free = (first + np.arange(left)) % _NUMBERS
        used = np.full(_NUMBERS + 1, now)
        used[0] = -np.inf
        used[book.numbers[free]] = book.freed[free]
        return used

    def add_sensors(self, sensors: SensorTable) -> None:
        """Go on with a longer table that begins with the present sensors, when a partner's join.

        The tracks and what was learned of the present sensors stay.
        """
        before = len(self.sensor_table)
        assert sensors.sensors[:before] == self.sensor_table.sensors
        assert sensors.reference == self.sensor_table.reference
        self.sensor_table = sensors
        self._sensors = read_only(_sensor_arrays(sensors))
        self._tracks = add_passes(self._tracks, len(sensors))
        self._looks = add_looks(self._looks, sensors.clutter_per_scan, MEMORY_LOOKS)

    def end_simulated(self, sensors: NDArray[np.int32]) -> None:
        """End the simulated tracks that any of these rows of the sensor table ever fed."""
        active = self._tracks.lists[ACTIVE_LIST, : self._book.counts[ACTIVE]].copy()
        fed = (self._tracks.passes[active][:, sensors, T_HIT] > -np.inf).any(axis=1)
        ended = active[fed & (self._tracks.ints[active, T_SIMULATED] != 0)]
        # Nobody sees them from now on, no plot is theirs, and the next check takes their slots back.
        self._tracks.ints[ended, T_HIDDEN] = 1
        self._tracks.real[ended, T_EXISTENCE] = 0.0
        self._tracks.real[ended, T_DUE] = -np.inf

    def process(self, plots: PlotBatch) -> None:
        """Take in one closed batch; its plots may be in any order of detection."""
        count = len(plots)
        if count:
            self._make_room(count)
            columns = read_only(_plot_arrays(plots))
            # By sensor, live before simulated, then time; ties in order of arrival.
            order = np.lexsort((plots.time, plots.is_simulated, plots.sensor)).astype(np.int32)
            process_batch(
                columns,
                order,
                self.plots_processed,
                not self.settings.keep_test_targets,
                self._sensors,
                self._frame,
                self._motion,
                self._params,
                self._tracks,
                self._open,
                self._looks,
                self._book,
                self._work,
            )
            self.plots_processed += count

    def picture(self, time: float) -> Picture:
        """All confirmed tracks that are not hidden, extrapolated to `time` (UTC s since 1970), by number."""
        tracks = self._tracks
        rows = list_shown(tracks, self._book)
        rows = rows[np.argsort(tracks.ints[rows, T_NUMBER], kind="stable")]
        real, ints = tracks.real[rows], tracks.ints[rows]
        reference = self.sensor_table.reference
        position, velocity, covariance, geodetic = extrapolate_tracks(
            rows, time, tracks, self._frame, self._motion
        )
        self._sequence += 1
        return Picture(
            time=time,
            sequence=self._sequence,
            reference=reference,
            sensor_names=tuple(self.sensor_table.names),
            centre_names=(self.settings.centre,),
            number=ints[:, T_NUMBER].astype(np.int32),
            joint_centre=np.zeros(len(rows), np.uint8),
            joint_number=ints[:, T_NUMBER].astype(np.int32),
            centres=np.ones(len(rows), np.uint64),
            reporter=np.zeros(len(rows), np.uint8),
            report_age=np.full(len(rows), np.nan),
            uid=make_uids(ints[:, T_SERIAL], self.settings.centre_seed),
            position=position,
            latitude=geodetic[:, 0].copy(),
            longitude=geodetic[:, 1].copy(),
            height=geodetic[:, 2].copy(),
            velocity=velocity,
            covariance=covariance,
            altitude=real[:, T_ALTITUDE].copy(),
            altitude_time=real[:, T_ALTITUDE_TIME].copy(),
            vertical_rate=velocity[:, 2].copy(),
            movement=_movement(tracks.weight[rows], self._motion),
            existence=real[:, T_EXISTENCE].copy(),
            is_coasting=ints[:, T_MISSES] >= _COASTING_MISSES,
            is_simulated=ints[:, T_SIMULATED] != 0,
            updated=real[:, T_UPDATED].copy(),
            born=real[:, T_BORN].copy(),
            squawk=ints[:, T_SQUAWK].astype(np.int16),
            address=ints[:, T_ADDRESS].astype(np.int32),
            callsign=ints[:, T_CALLSIGN].copy(),
            identity=np.full(len(rows), Identity.PENDING, np.uint8),
            kind=np.full(len(rows), TargetKind.UNKNOWN, np.uint8),
            sensors=_sensor_bits(tracks.passes[rows, :, T_HIT], time, self._sensors.real[:, S_PERIOD]),
        )

    def take_outcomes(self) -> Outcomes:
        """The plots whose fate was settled since the last call."""
        self._put_outcomes_aside()
        settled = np.concatenate([np.zeros((0, 5), np.int64), *self._settled])
        self._settled = []
        return Outcomes(
            plot=settled[:, B_PLOT].copy(),
            outcome=settled[:, B_OUTCOME].astype(np.uint8),
            number=settled[:, B_NUMBER].astype(np.int32),
            uid=make_uids(settled[:, B_SERIAL], self.settings.centre_seed),
            reason=settled[:, B_REASON].astype(np.uint8),
        )

    @property
    def overflows(self) -> dict[str, int]:
        """What did not fit: tracks, open plots, pairs, and confirmations put off for want of a number."""
        counts = self._book.counts
        return {
            "tracks": int(counts[TRACKS_OVERFLOWN]),
            "open plots": int(counts[OPEN_OVERFLOWN]),
            "pairs": int(counts[PAIRS_OVERFLOWN]),
            "numbers": int(counts[NUMBERS_SHORT]),
        }

    @property
    def tracks_alive(self) -> int:
        """Tracks in memory, tentative and hidden ones included."""
        return int(self._book.counts[ACTIVE])

    def _make_room(self, plots: int) -> None:
        """Let the arrays grow before a batch that might not fit; kernels never take memory."""
        counts, limit = self._book.counts, self.settings.slots_limit
        slots, opened, room = len(self._tracks.real), len(self._open.real), len(self._work.real)
        while counts[TRACKS_FREE] < plots and slots < limit:
            larger = min(2 * slots, limit)
            self._tracks = grow_tracks(self._tracks, larger, int(counts[TRACKS_FREE]))
            counts[TRACKS_FREE] += larger - slots
            slots = larger
        while counts[OPEN_FREE] < plots and opened < 4 * limit:
            larger = min(2 * opened, 4 * limit)
            self._open = grow_open_plots(self._open, larger, int(counts[OPEN_FREE]))
            counts[OPEN_FREE] += larger - opened
            opened = larger
        if room < plots or len(self._work.local) < slots:
            room = room if room >= plots else max(plots, 2 * room)
            pairs = max(4096, room * _PAIRS_PER_PLOT)
            self._work = make_work(room, pairs, slots, self._tracks.mean.shape[1])
        needed = plots + opened
        if len(self._book.outcomes) - counts[OUTCOMES] < needed:
            self._put_outcomes_aside()
            if len(self._book.outcomes) < needed:
                self._book = self._book._replace(outcomes=np.zeros((2 * needed, 5), np.int64))

    def _put_outcomes_aside(self) -> None:
        count = int(self._book.counts[OUTCOMES])
        if count:
            self._settled.append(self._book.outcomes[:count].copy())
            self._book.counts[OUTCOMES] = 0


def _plot_arrays(plots: PlotBatch) -> Plots:
    """A batch for kernels."""
    real = np.empty((len(plots), len(PLOT_REALS)))
    for column, name in enumerate(PLOT_REALS):
        real[:, column] = getattr(plots, name)
    codes = np.empty((len(plots), len(PLOT_CODES)), np.int64)
    for column, name in enumerate(PLOT_CODES):
        codes[:, column] = getattr(plots, name)
    # Most altitudes that are flagged as garbled or not validated are right, and the others far off.
    is_doubtful = ((plots.flags & np.uint16(PlotFlag.GARBLED)) != 0) & np.isnan(plots.height)
    real[is_doubtful, P_SIGMA_ALTITUDE] = np.fmax(
        real[is_doubtful, P_SIGMA_ALTITUDE], _GARBLED_ALTITUDE_SIGMA
    )
    return Plots(real, codes)


def _sensor_arrays(table: SensorTable) -> Sensors:
    """The table for kernels; sites turned into the centre's frame."""
    count = len(table)
    reference = (table.reference.latitude, table.reference.longitude, table.reference.height)
    has_site = np.isfinite(table.latitude) & np.isfinite(table.longitude)
    latitude = np.where(has_site, table.latitude, reference[0])
    longitude = np.where(has_site, table.longitude, reference[1])
    site = enu_from_geodetic(latitude, longitude, table.height, reference)
    centre = enu_rotation(reference[0], reference[1])
    axes = np.empty((count, 3, 3))
    for s in range(count):
        axes[s] = enu_rotation(latitude[s], longitude[s]) @ centre.T
    is_short = table.range_max <= _SHORT_REACH
    real = np.empty((count, S_REALS))
    real[:, S_PERIOD] = np.where(np.isnan(table.rotation_period), FASTEST_UPDATE, table.rotation_period)
    real[:, S_REACH] = table.range_max
    real[:, S_DETECTION] = np.clip(table.detection_probability, 0.05, 0.99)
    real[:, S_SIGMA_RANGE] = table.sigma_range
    real[:, S_SIGMA_AZIMUTH] = table.sigma_azimuth
    real[:, S_SIGMA_ELEVATION] = table.sigma_elevation
    real[:, S_SIGMA_POSITION] = table.sigma_position
    real[:, S_SPEED_SIGMA] = np.where(is_short, 20.0, 150.0)
    real[:, S_HEIGHT_GUESS] = np.where(is_short, 150.0, 6_000.0)
    real[:, S_HEIGHT_SIGMA] = np.where(is_short, 150.0, 4_000.0)
    real[:, S_HAS_SITE] = has_site
    real[:, S_ASKS] = [SensorKind(kind) in _ASKING for kind in table.kind]
    return Sensors(site, axes, real)


def _params(settings: TrackerSettings, sensors: Sensors, motion: Motion) -> Params:
    """The settings for kernels; the grid's cells suit the sensors' reach."""
    derived = {"cell_size", "entry"}
    chosen = {name: getattr(settings, name) for name in Params._fields if name not in derived}
    cell_size = float(np.clip(sensors.real[:, S_REACH].max() / 30.0, 1_000.0, 12_000.0))
    return Params(**chosen, cell_size=cell_size, entry=motion.models[:, M_ENTRY].copy())


def _movement(weight: Floats2, motion: Motion) -> Floats2:
    """(N, 3) probability of straight flight, right and left turn from the (N, M) weights of the models."""
    sign, noise = motion.models[:, M_TURN_SIGN], motion.models[:, M_NOISE_ACROSS]
    # The model of anything at all says nothing about the way of moving.
    is_straight = (sign == 0.0) & (noise < _NOISE_OF_ANYTHING)
    return np.stack(
        [weight[:, chosen].sum(axis=1) for chosen in (is_straight, sign < 0.0, sign > 0.0)], axis=1
    )


def _sensor_bits(hit: NDArray[np.float64], time: float, period: NDArray[np.float64]) -> NDArray[np.uint64]:
    """(N, W) words whose bits say which sensors fed a track within their last three looks."""
    count = len(period)
    bits = np.zeros((len(hit), max(1, -(-count // 64))), np.uint64)
    fed = time - hit <= 3.0 * period
    for s in range(count):
        bits[:, s // 64] |= fed[:, s].astype(np.uint64) << np.uint64(s % 64)
    return bits
