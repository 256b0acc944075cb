"""Reads recordings: recognises how the ASTERIX blocks are framed and hands them on as datagrams.

The framing is never told, only recognised: a capture by its magic number, a recorder's file by
which layout explains its octets best. What does not fit is counted, and the good before and
after it is kept.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skypact.asterix.framing_kernels import (
    FINAL,
    GPS,
    GPS_TRAILER,
    ORADIS,
    RAW,
    chain_octets,
    first_chain,
    walk_units,
)
from skypact.asterix.model import Datagrams, ErrorCount, Recording
from skypact.asterix.pcap import PCAP_MAGIC, PCAPNG_MAGIC, Capture, Problem, read_capture
from skypact.core.arrays import Bools1, Bytes1, Floats1, Ints1
from skypact.core.errors import BadInputError

# Categories that EUROCONTROL has assigned or that are in wide use, as evidence that octets are ASTERIX.
# Source: the list of ASTERIX categories on the EUROCONTROL web site; 129 is UAS identification.
ASSIGNED_CATEGORIES = (
    *(1, 2, 3, 4, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 20, 21, 23, 25, 30, 31, 32, 34, 48),
    *(62, 63, 65, 129, 150, 204, 205, 239, 240, 247, 252),
)
GPS_HEADER = 2200  # octets before the first block: filling, at most with some text
_HEADER_VARIETY = 100  # different octets in it at most; chance would give nearly all 256
NAMES = {RAW: "raw", FINAL: "final", GPS: "gps", ORADIS: "oradis"}
_TRIAL_UNITS = 512  # to judge a framing by
_TRIAL_OCTETS = 1 << 20  # they are looked for in; in all of the file when these tell nothing
# Evidence that octets are no chance, in bits: a unit weighs log2(65,536 / its length) for being short and
# 3 for its category, less 5 that random octets reach as well; a gap or a unit cut short costs a search.
_UNIT_BITS = 16.0 + 3.0 - 5.0
_FAULT_BITS = 10.0
_COMMON = 0.02  # share of the units from which a category is to be expected after a fault
_LEADING_GARBAGE = 65_536  # octets in which to look for a first block
_LEADING_CHAIN = 10  # units that make a beginning
_HEX_OCTETS = 32  # of offending octets kept
# Control octets that no text holds; every block shorter than 2,304 octets has one, in its length.
_NO_TEXT = np.array([*range(9), *range(14, 27), *range(28, 32)], dtype=np.uint8)


def read_recording(path: Path) -> Recording:
    """The datagrams of a recording.

    Raises:
        BadInputError: the file can't be read, or no framing fits its content.
    """
    try:
        content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be read", str(path)) from None
    if len(content) == 0:
        raise BadInputError("the file is empty", str(path))
    magic = content[:4].tobytes()
    if magic in PCAP_MAGIC or magic == PCAPNG_MAGIC:
        return _from_capture(
            read_capture(content), "pcapng" if magic == PCAPNG_MAGIC else "pcap", len(content)
        )
    framing, start = _recognise(content[:_TRIAL_OCTETS])
    if framing is None and len(content) > _TRIAL_OCTETS:
        framing, start = _recognise(content)
    if framing is None:
        raise BadInputError(
            "no ASTERIX framing fits",
            str(path),
            "known are raw blocks, final format, GPS recorder, ORADIS, pcap and pcapng",
        )
    return _from_units(content, framing, start)


def _expected(octets: "Bytes1 | NDArray[np.uint8] | tuple[int, ...]") -> Bools1:
    known = np.zeros(256, dtype=np.bool_)
    known[np.asarray(octets, dtype=np.int64)] = True
    return known


def _recognise(content: Bytes1) -> tuple[int | None, int]:
    """The framing that explains most of the beginning, and where its first unit starts."""
    if not np.isin(content[:_TRIAL_OCTETS], _NO_TEXT).any():
        return None, 0
    assigned = _expected(ASSIGNED_CATEGORIES)
    best: tuple[float, int | None, int] = (0.5, None, 0)
    # Those with the most structure first: a tie goes to them.
    for framing, start in ((FINAL, 0), (GPS, GPS_HEADER), (RAW, 0), (ORADIS, 0)):
        if start >= len(content) or len(np.unique(content[:start])) > _HEADER_VARIETY:
            continue
        score = _share_explained(content, start, framing, assigned)
        if score > best[0]:
            best = (score, framing, start)
    if best[1] is not None:
        return best[1], best[2]
    # A recording that was cut out of a longer one may start inside a block.
    for framing in (FINAL, ORADIS, GPS, RAW):
        if first_chain(content, _LEADING_GARBAGE, framing, assigned, _LEADING_CHAIN) >= 0:
            return framing, 0
    return None, 0


def _share_explained(content: Bytes1, start: int, framing: int, assigned: Bools1) -> float:
    """Share of the walked octets that are units of assigned categories; 0 when the first is none.

    What is wholly made of units is explained by them whatever their categories are.
    """
    end = len(content)
    offsets, lengths, gap_offsets, gap_lengths = walk_units(
        content, start, end, framing, assigned, _TRIAL_UNITS
    )
    if len(offsets) == 0 or (len(gap_offsets) and gap_offsets[0] == start):
        return 0.0
    overhead = {FINAL: 12, ORADIS: 6, GPS: GPS_TRAILER}.get(framing, 0)
    whole = lengths + overhead
    is_cut = _is_cut(content, offsets, lengths)
    is_assigned = assigned[content[offsets]] & ~is_cut
    # A last unit that was cut off says nothing against the framing.
    gaps = gap_lengths
    if len(gaps) and gap_offsets[-1] + gaps[-1] == end:
        gaps = gaps[:-1] if _is_cut_unit(content, int(gap_offsets[-1]), framing, assigned) else gaps
    if len(gap_offsets) == 0 and not is_cut.any():
        is_assigned = np.ones(len(offsets), dtype=np.bool_)
    else:
        faults = len(gaps) + np.count_nonzero(is_cut)
        if (_UNIT_BITS - np.log2(lengths[is_assigned])).sum() <= _FAULT_BITS * faults:
            return 0.0
    return float(whole[is_assigned].sum()) / (float(whole.sum()) + float(gaps.sum()))


def _is_cut(content: Bytes1, offsets: Ints1, lengths: Ints1) -> Bools1:
    """(U,) units whose first block says more octets than the walk has left it, as its length was a lie."""
    last = len(content) - 1
    said = content[np.minimum(offsets + 1, last)].astype(np.int64) << 8
    is_cut: Bools1 = (said | content[np.minimum(offsets + 2, last)]) > lengths
    return is_cut


def _from_units(content: Bytes1, framing: int, start: int) -> Recording:
    assigned = _expected(ASSIGNED_CATEGORIES)
    end = len(content)
    offset, length, gap_offset, gap_length = walk_units(content, start, end, framing, assigned, end)
    if len(gap_offset) or _is_cut(content, offset, length).any():
        # Once more, and after each fault on with categories that are frequent in this file.
        counts = np.bincount(content[offset], minlength=256)
        common = counts >= max(2.0, _COMMON * len(offset))
        expected = common if common.any() else counts > 0
        offset, length, gap_offset, gap_length = walk_units(content, start, end, framing, expected, end)
    problems: list[Problem] = []
    for position, octets in zip(gap_offset.tolist(), gap_length.tolist(), strict=True):
        is_tail = position + octets == end and _is_cut_unit(content, position, framing, assigned)
        problems.append(Problem("truncated" if is_tail else "lost synchronisation", position, octets))
    datagrams = Datagrams(content, offset, length, np.full(len(offset), np.nan))
    return Recording(
        framing=NAMES[framing],
        datagrams=datagrams,
        time_of_day=_recorder_time(content, offset, length, framing),
        octets=end,
        errors=_count(problems, datagrams),
    )


def _is_cut_unit(content: Bytes1, position: int, framing: int, assigned: Bools1) -> bool:
    """Whether the octets up to the end look like a unit whose end is missing."""
    left = len(content) - position
    if framing in (FINAL, ORADIS):
        return left < 2 or int(content[position]) * 256 + int(content[position + 1]) > left
    return bool(assigned[content[position]]) and (
        left < 3 or int(content[position + 1]) * 256 + int(content[position + 2]) + GPS_TRAILER > left
    )


def _recorder_time(content: Bytes1, offset: Ints1, length: Ints1, framing: int) -> Floats1:
    """(D,) time of day that the recorder wrote with each unit, s; NaN where there is none."""
    if framing == FINAL:
        return _big_endian(content, offset - 3, 3) * 0.01
    if framing == ORADIS:
        return _big_endian(content, offset - 4, 4) * 0.001
    if framing == GPS:
        return _big_endian(content, offset + length + 6, 3) / 128.0
    return np.full(len(offset), np.nan)


def _big_endian(content: Bytes1, position: Ints1, octets: int) -> Floats1:
    value = np.zeros(len(position), dtype=np.int64)
    for octet in range(octets):
        # A position past the end belongs to a unit whose trailer was cut off.
        value = value << 8 | content[np.minimum(position + octet, len(content) - 1)].astype(np.int64)
    return value.astype(np.float64)


def _from_capture(capture: Capture, name: str, octets: int) -> Recording:
    """Datagrams of the destination ports that carry ASTERIX.

    A port is left out when hardly any of its payloads starts with a possible block while
    another port's do: name service and the like in the same capture are no broken ASTERIX.
    """
    buffer, received, port = capture.buffer, capture.received, capture.port
    offset, length = capture.offset, capture.length
    covered = {framing: chain_octets(buffer, offset, length, framing) for framing in (RAW, ORADIS)}
    is_wanted = np.zeros(len(offset), dtype=np.bool_)
    is_oradis = np.zeros(len(offset), dtype=np.bool_)
    trailing = np.zeros(len(offset), dtype=np.int64)
    for number in np.unique(port):
        rows = np.flatnonzero(port == number)
        raw, oradis = covered[RAW][rows], covered[ORADIS][rows]
        is_oradis[rows] = oradis.sum() > raw.sum()
        fitting = np.where(is_oradis[rows], oradis, raw)
        is_wanted[rows] = np.count_nonzero(fitting) >= 0.1 * len(rows)
        trailing[rows] = _common_trailer(length[rows] - fitting, fitting > 0)
    if not is_wanted.any():
        is_wanted[:] = True
    other = capture.other + int(np.count_nonzero(~is_wanted))
    rows = np.flatnonzero(is_wanted)
    offset, length, received = offset[rows], length[rows] - trailing[rows], received[rows]
    time_of_day = np.full(len(rows), np.nan)
    if is_oradis[rows].any():
        offset, length, parent, time_of_day = _unwrap_oradis(buffer, offset, length, is_oradis[rows])
        received = received[parent]
    datagrams = Datagrams(buffer, offset, length, received)
    return Recording(
        framing=name + ("+oradis" if is_oradis[rows].any() else "") + ("+trailing" if trailing.any() else ""),
        datagrams=datagrams,
        time_of_day=time_of_day,
        octets=octets,
        other=other,
        trailing=int(trailing.max(initial=0)),
        errors=_count(capture.problems, datagrams),
    )


def _common_trailer(left: Ints1, has_block: Bools1) -> Ints1:
    """(D,) octets to leave out of each payload: a rest that at least half of a port's payloads have alike."""
    rests = left[has_block & (left > 0)]
    if 2 * len(rests) < len(left):
        return np.zeros(len(left), dtype=np.int64)
    sizes, counts = np.unique(rests, return_counts=True)
    common = sizes[np.argmax(counts)]
    if 2 * counts.max() < len(left):
        return np.zeros(len(left), dtype=np.int64)
    return np.where(has_block & (left == common), common, 0)


def _unwrap_oradis(
    buffer: Bytes1, offset: Ints1, length: Ints1, is_oradis: Bools1
) -> tuple[Ints1, Ints1, Ints1, Floats1]:
    """Content of the ORADIS units of each payload, the payload's number and the time of day with it."""
    offsets, lengths, parents, times = [], [], [], []
    known = np.ones(256, dtype=np.bool_)
    for number in range(len(offset)):
        start, end = int(offset[number]), int(offset[number] + length[number])
        inner, size = offset[number : number + 1], length[number : number + 1]
        time = np.full(1, np.nan)
        if is_oradis[number]:
            inner, size, gap, gap_size = walk_units(buffer, start, end, ORADIS, known, end - start)
            time = _recorder_time(buffer, inner, size, ORADIS)
            if len(gap):  # handed on as it is, so that the decoder counts it against its source
                inner, size = np.append(inner, gap), np.append(size, gap_size)
                time = np.append(time, np.full(len(gap), np.nan))
        offsets.append(inner)
        lengths.append(size)
        times.append(time)
        parents.append(np.full(len(inner), number, dtype=np.int64))
    return np.concatenate(offsets), np.concatenate(lengths), np.concatenate(parents), np.concatenate(times)


def _count(problems: list[Problem], datagrams: Datagrams) -> dict[str, ErrorCount]:
    errors: dict[str, ErrorCount] = {}
    for problem in sorted(problems, key=lambda problem: problem.offset):
        if problem.kind in errors:
            errors[problem.kind].count += 1
            continue
        octets = datagrams.buffer[problem.offset : problem.offset + min(max(problem.length, 1), _HEX_OCTETS)]
        following = int(np.searchsorted(datagrams.offset, problem.offset))
        errors[problem.kind] = ErrorCount(1, octets.tobytes().hex(), following, problem.offset)
    return errors
