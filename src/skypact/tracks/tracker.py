"""The tracker: plot batches in, air picture and outcomes out."""

import numpy as np

from skypact.core.arrays import as_kernel_array
from skypact.core.geodesy import enu_from_geodetic, enu_rotation
from skypact.plots.model import PlotBatch
from skypact.sensors.model import FASTEST_UPDATE, SensorKind, SensorTable
from skypact.tracks.batch import process_batch
from skypact.tracks.clutter import MEMORY_LOOKS
from skypact.tracks.earth import make_frame
from skypact.tracks.measurement import Plots, Sensors
from skypact.tracks.model import Outcomes, Picture
from skypact.tracks.motion import make_motion
from skypact.tracks.picturing import extrapolate_tracks, list_shown
from skypact.tracks.settings import TrackerSettings
from skypact.tracks.state import (
    ACTIVE,
    BUCKETS,
    COUNTS,
    HEIGHT_BANDS,
    NUMBERS_LEFT,
    NUMBERS_SHORT,
    OPEN_FREE,
    OPEN_OVERFLOWN,
    OUTCOMES,
    PAIRS_OVERFLOWN,
    RINGS,
    TRACKS_FREE,
    TRACKS_OVERFLOWN,
    WEDGES,
    Book,
    Looks,
    Params,
    grow,
    make_open_plots,
    make_tracks,
    make_work,
    read_only,
)

_DEFAULTS = TrackerSettings()
_NUMBERS = 32_767
_PAIRS_PER_PLOT = 24
_SHORT_REACH = 25_000.0  # m; sensors that reach no further watch drones and the like
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
        models = len(self._motion.stay)
        self._params = read_only(_params(settings, self._sensors, self._motion.entry))
        self._tracks = make_tracks(settings.slots_initial, models, len(sensors))
        self._open = make_open_plots(2 * settings.slots_initial)
        self._looks = _make_looks(self._sensors, sensors.clutter_per_scan)
        self._work = make_work(0, 0, settings.slots_initial, models)
        self._book = _make_book(2 * settings.slots_initial)
        self._book.counts[TRACKS_FREE] = settings.slots_initial
        self._book.counts[OPEN_FREE] = 2 * settings.slots_initial
        self._settled: list[tuple[np.ndarray, ...]] = []

    def process(self, plots: PlotBatch) -> None:
        """Take in one closed batch; its plots may be in any order of detection."""
        count = len(plots)
        if count:
            self._make_room(count)
            columns = read_only(
                Plots(
                    *(
                        as_kernel_array(column, column.dtype)
                        for column in map(plots.__getattribute__, Plots._fields)
                    )
                )
            )
            # By sensor, then time; ties in order of arrival.
            order = np.lexsort((columns.time, columns.sensor)).astype(np.int32)
            process_batch(
                columns, order, self.plots_processed, not self.settings.keep_test_targets,
                self._sensors, self._frame, self._motion, self._params,
                self._tracks, self._open, self._looks, self._book, self._work,
            )  # fmt: skip
            self.plots_processed += count

    def picture(self, time: float) -> Picture:
        """All confirmed tracks that are not hidden, extrapolated to `time` (UTC s since 1970), by number."""
        tracks = self._tracks
        rows = list_shown(tracks, self._book)
        rows = rows[np.argsort(tracks.number[rows], kind="stable")]
        reference = self.sensor_table.reference
        origin = (reference.latitude, reference.longitude, reference.height)
        shown = extrapolate_tracks(rows, time, tracks, self._frame, self._motion, origin)
        position, velocity, covariance, geodetic = shown
        self._sequence += 1
        updated = tracks.updated[rows]
        return Picture(
            time=time,
            sequence=self._sequence,
            reference=reference,
            sensor_names=tuple(self.sensor_table.names),
            number=tracks.number[rows].astype(np.int32),
            uid=_uids(tracks.serial[rows], self.settings.centre_seed),
            position=position,
            latitude=np.ascontiguousarray(geodetic[:, 0]),
            longitude=np.ascontiguousarray(geodetic[:, 1]),
            height=np.ascontiguousarray(geodetic[:, 2]),
            velocity=velocity,
            covariance=covariance,
            altitude=tracks.altitude[rows],
            vertical_rate=np.ascontiguousarray(velocity[:, 2]),
            existence=tracks.existence[rows],
            is_coasting=tracks.misses[rows] >= 2,
            updated=updated,
            born=tracks.born[rows],
            squawk=tracks.squawk[rows].astype(np.int16),
            address=tracks.address[rows].astype(np.int32),
            callsign=tracks.callsign[rows],
            sensors=_sensor_bits(tracks.hit[rows], time, self._sensors.period),
        )

    def take_outcomes(self) -> Outcomes:
        """The plots whose fate was settled since the last call."""
        self._put_outcomes_aside()
        parts, self._settled = self._settled, []
        if parts:
            plot, outcome, number, serial, reason = (
                np.concatenate(column) for column in zip(*parts, strict=True)
            )
        else:
            plot, serial = np.zeros(0, np.int64), np.zeros(0, np.int64)
            outcome, reason, number = np.zeros(0, np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.int64)
        return Outcomes(
            plot=plot,
            outcome=outcome,
            number=number.astype(np.int32),
            uid=_uids(serial, self.settings.centre_seed),
            reason=reason,
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
        """Let the arrays grow before a batch that might not fit; kernels never allocate slots."""
        settings, counts = self.settings, self._book.counts
        models, sensors = self._tracks.weight.shape[1], len(self._sensors.period)
        slots = len(self._tracks.time)
        is_larger = False
        while counts[TRACKS_FREE] < plots and slots < settings.slots_limit:
            slots = min(2 * slots, settings.slots_limit)
            self._tracks = grow(self._tracks, make_tracks(slots, models, sensors), int(counts[TRACKS_FREE]))
            counts[TRACKS_FREE] = slots - counts[ACTIVE]
            is_larger = True
        opened = len(self._open.time)
        limit = 4 * settings.slots_limit
        while counts[OPEN_FREE] < plots and opened < limit:
            added = min(2 * opened, limit) - opened
            self._open = grow(self._open, make_open_plots(opened + added), int(counts[OPEN_FREE]))
            opened += added
            counts[OPEN_FREE] += added
        if is_larger or len(self._work.form) < plots:
            room = (
                max(plots, 2 * len(self._work.form)) if len(self._work.form) < plots else len(self._work.form)
            )
            self._work = make_work(room, max(4096, room * _PAIRS_PER_PLOT), slots, models)
        needed = plots + opened
        if len(self._book.outcome) - counts[OUTCOMES] < needed:
            self._put_outcomes_aside()
            if len(self._book.outcome) < needed:
                self._book = self._book._replace(**_outcome_columns(2 * needed))

    def _put_outcomes_aside(self) -> None:
        book = self._book
        count = int(book.counts[OUTCOMES])
        if count:
            columns = (
                book.outcome_plot,
                book.outcome,
                book.outcome_number,
                book.outcome_serial,
                book.outcome_reason,
            )
            self._settled.append(tuple(column[:count].copy() for column in columns))
            book.counts[OUTCOMES] = 0


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
    return Sensors(
        site=site,
        axes=axes,
        has_site=has_site,
        asks=np.array([SensorKind(kind) in _ASKING for kind in table.kind], dtype=np.bool_),
        period=np.where(np.isnan(table.rotation_period), FASTEST_UPDATE, table.rotation_period),
        reach=table.range_max,
        detection=np.clip(table.detection_probability, 0.05, 0.99),
        sigma_range=table.sigma_range,
        sigma_azimuth=table.sigma_azimuth,
        sigma_elevation=table.sigma_elevation,
        sigma_position=table.sigma_position,
        speed_sigma=np.where(is_short, 20.0, 150.0),
        height_guess=np.where(is_short, 150.0, 6_000.0),
        height_sigma=np.where(is_short, 150.0, 4_000.0),
    )


def _params(settings: TrackerSettings, sensors: Sensors, entry: np.ndarray) -> Params:
    """The settings for kernels; the grid's cells suit the sensors' reach."""
    names = [n for n in Params._fields if n not in {"cell_size", "entry"}]
    chosen = {name: getattr(settings, name) for name in names}
    cell_size = float(np.clip(sensors.reach.max() / 30.0, 1_000.0, 12_000.0))
    return Params(**chosen, cell_size=cell_size, entry=entry)


def _make_looks(sensors: Sensors, clutter_per_scan: np.ndarray) -> Looks:
    """Nothing seen yet; the table's word on false plots is the first memory."""
    count = len(sensors.period)
    return Looks(
        latest=np.full(count, -np.inf),
        oldest_open=np.full(count, -1, np.int32),
        newest_open=np.full(count, -1, np.int32),
        clutter=np.zeros((count, 2, RINGS * WEDGES)),
        clutter_time=np.zeros((count, 2, RINGS * WEDGES)),
        clutter_total=np.repeat(clutter_per_scan[:, None], 2, axis=1) * MEMORY_LOOKS,
        clutter_total_time=np.zeros((count, 2)),
        height_bands=np.zeros((count, HEIGHT_BANDS)),
        now=np.full(1, -np.inf),
    )


def _outcome_columns(room: int) -> dict[str, np.ndarray]:
    return {
        "outcome_plot": np.zeros(room, np.int64),
        "outcome": np.zeros(room, np.uint8),
        "outcome_number": np.zeros(room, np.int64),
        "outcome_serial": np.zeros(room, np.int64),
        "outcome_reason": np.zeros(room, np.uint8),
    }


def _make_book(room: int) -> Book:
    counts = np.zeros(COUNTS, np.int64)
    counts[NUMBERS_LEFT] = _NUMBERS
    return Book(
        counts=counts,
        track_heads=np.full(BUCKETS, -1, np.int32),
        open_heads=np.full(BUCKETS, -1, np.int32),
        numbers=np.arange(1, _NUMBERS + 1),
        freed=np.full(_NUMBERS, -np.inf),
        **_outcome_columns(room),
    )


def _uids(serials: np.ndarray, seed: int) -> np.ndarray:
    """(N, 2) identifiers of serials by two rounds of splitmix64 under the centre's seed; 0 for serial -1.

    Source: G. L. Steele et al., Fast splittable pseudorandom number generators, 2014.
    """
    uid = np.empty((len(serials), 2), np.uint64)
    counter = serials.astype(np.uint64)
    for half in range(2):
        salt = np.array((2 * seed + half + 1) & 0xFFFF_FFFF_FFFF_FFFF, np.uint64)
        uid[:, half] = _splitmix(_splitmix(counter) ^ _splitmix(np.broadcast_to(salt, counter.shape)))
    uid[serials < 0] = 0
    return uid


def _splitmix(value: np.ndarray) -> np.ndarray:
    value = value + np.uint64(0x9E37_79B9_7F4A_7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58_476D_1CE4_E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D0_49BB_1331_11EB)
    return value ^ (value >> np.uint64(31))


def _sensor_bits(hit: np.ndarray, time: float, period: np.ndarray) -> np.ndarray:
    """(N, W) words whose bits say which sensors fed a track within their last three looks."""
    count = len(period)
    words = max(1, -(-count // 64))
    bits = np.zeros((len(hit), words), np.uint64)
    fed = time - hit <= 3.0 * period
    for s in range(count):
        bits[:, s // 64] |= fed[:, s].astype(np.uint64) << np.uint64(s % 64)
    return bits
