"""How many false plots to expect where, learned per sensor and cell in a fading memory."""

from math import atan2, exp, floor, isnan, pi

from skypact.core.jit import kernel
from skypact.tracks.measurement import S_PERIOD, S_REACH, Sensors
from skypact.tracks.state import C_COUNT, C_TIME, HEIGHT_BANDS, RINGS, WEDGES, Looks

_CELLS = RINGS * WEDGES
MEMORY_LOOKS = 15.0  # the memory fades over so many looks of the sensor
_TRUST = 2.0  # false plots that a cell must have seen to count as much as the sensor's mean
_LEAST_PER_LOOK = 0.05  # false plots that any sensor may have in one look
_RATE_SPAN = 600.0  # m/s; false range rates are spread over so much


@kernel
def clutter_cell(east: float, north: float, reach: float) -> int:
    """The cell of a place (m, in the sensor's axes): rings of equal area, wedges of equal angle."""
    ring = min(int((east * east + north * north) / (reach * reach) * RINGS), RINGS - 1)
    wedge = floor((atan2(east, north) + pi) / (2.0 * pi) * WEDGES)
    return ring * WEDGES + min(max(wedge, 0), WEDGES - 1)


@kernel
def _band_width(reach: float) -> float:
    """Of the height bands, m."""
    return min(500.0, reach / HEIGHT_BANDS)


@kernel
def clutter_density(
    looks: Looks,
    sensors: Sensors,
    s: int,
    cell: int,
    height: float,
    has_rate: bool,
    time: float,
    births: float,
) -> tuple[float, float]:
    """Densities of false plots and of new targets' first plots in one look, in the units of a plot's rows.

    Args:
        looks: what was learned. sensors: the sensor table. s: the sensor.
        cell: of the plot.
        height: measured by the plot, m; NaN when it has none: then the densities are per m², else per m³.
        has_rate: whether it has a range rate: then they are per m/s as well.
        time: s.
        births: new targets in one look.
    """
    kind = 0 if isnan(height) else 1
    memory = MEMORY_LOOKS * sensors.real[s, S_PERIOD]
    fade = exp(-max(time - looks.clutter_total[s, kind, C_TIME], 0.0) / memory)
    mean = max(looks.clutter_total[s, kind, C_COUNT] * fade / MEMORY_LOOKS, _LEAST_PER_LOOK) / _CELLS
    fade = exp(-max(time - looks.clutter[s, kind, cell, C_TIME], 0.0) / memory)
    count = looks.clutter[s, kind, cell, C_COUNT] * fade
    per_look = (_TRUST + count) / (_TRUST / mean + MEMORY_LOOKS)
    reach = sensors.real[s, S_REACH]
    area = pi * reach * reach / _CELLS
    clutter = per_look / area
    target = births / (_CELLS * area)
    if kind == 1:
        width = _band_width(reach)
        band = min(max(int(height / width), 0), HEIGHT_BANDS - 1)
        total = 0.0
        for b in range(HEIGHT_BANDS):
            total += looks.height_bands[s, b]
        share = (looks.height_bands[s, band] + 1.0) / (total + HEIGHT_BANDS)
        clutter *= share / width
        target /= HEIGHT_BANDS * width
    if has_rate:
        clutter /= _RATE_SPAN
        target /= _RATE_SPAN
    return clutter, target


@kernel
def start_clutter(looks: Looks, s: int, time: float) -> None:
    """Let the memory of a sensor begin at its first plot, at `time`, s."""
    for kind in range(2):
        looks.clutter_total[s, kind, C_TIME] = time
        for cell in range(_CELLS):
            looks.clutter[s, kind, cell, C_TIME] = time


@kernel
def learn_clutter(looks: Looks, sensors: Sensors, s: int, cell: int, height: float, time: float) -> None:
    """Remember one false plot."""
    kind = 0 if isnan(height) else 1
    memory = MEMORY_LOOKS * sensors.real[s, S_PERIOD]
    elapsed = time - looks.clutter[s, kind, cell, C_TIME]
    if elapsed > 0.0:
        looks.clutter[s, kind, cell, C_COUNT] *= exp(-elapsed / memory)
        looks.clutter[s, kind, cell, C_TIME] = time
    looks.clutter[s, kind, cell, C_COUNT] += exp(min(elapsed, 0.0) / memory)
    elapsed = time - looks.clutter_total[s, kind, C_TIME]
    if elapsed > 0.0:
        looks.clutter_total[s, kind, C_COUNT] *= exp(-elapsed / memory)
        looks.clutter_total[s, kind, C_TIME] = time
    looks.clutter_total[s, kind, C_COUNT] += exp(min(elapsed, 0.0) / memory)
    if kind == 1:
        band = min(max(int(height / _band_width(sensors.real[s, S_REACH])), 0), HEIGHT_BANDS - 1)
        looks.height_bands[s, band] += 1.0


@kernel
def look_probability(
    slant: float, elevation: float, reach: float, detection: float, blind: int, never: bool, asks: bool
) -> float:
    """Probability that one look of a sensor detects a target that is there.

    Args:
        slant: slant range, m. elevation: straight-line, rad. reach: greatest slant range, m.
        detection: in the open. blind: looks missed in a row while others saw the target.
        never: whether the sensor has never seen it. asks: whether it sees only targets that answer.
    """
    # Refraction bends the ray as if the earth were a third larger: it gains an eighth of slant over radius.
    over_horizon = elevation + slant / (8.0 * 6_371_000.0)
    if slant > reach or over_horizon < -0.001 or elevation > 1.05:
        return 0.0
    if never and asks:
        return 0.0
    probability = detection
    if over_horizon < 0.004 or slant > 0.98 * reach or elevation > 0.75:
        probability *= 0.4
    if never:
        probability *= 0.6
    return max(probability * 0.6 ** min(blind, 8), 0.0)
