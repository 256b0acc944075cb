"""What can be chosen about the tracker; the defaults serve air traffic and small drones alike."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """Choices of one tracker; probabilities have no unit, times are in s."""

    centre: str = "LOCAL"  # its name, before the joint track numbers that it gives
    centre_seed: int = 0  # makes the identifiers of this centre's tracks differ from those of others
    confirm_existence: float = 0.999  # a tentative track at least this probable is confirmed
    confirm_plots: int = 3  # and fed by at least so many plots
    drop_tentative: float = 0.005  # a tentative track less probable is dropped
    hide_existence: float = 0.5  # a confirmed track less probable leaves the picture, but keeps its number
    show_existence: float = 0.8  # and comes back above this
    drop_existence: float = 0.001  # a confirmed track less probable is dropped
    target_life: float = 3600.0  # mean time until a target ends, s
    uncovered_life: float = 12.0  # the same where no sensor is expected to see it, s
    births_per_scan: float = 1.0  # new targets expected of each sensor in one scan
    late_limit: float = 8.0  # a plot older than its track's state by more is late, s
    use_codes: bool = True  # take squawk, address and callsign as evidence
    keep_test_targets: bool = False  # track plots flagged as test targets
    number_rest: float = 600.0  # a track number rests for so long after its end, s
    slots_initial: int = 1024  # tracks, tentative ones included, that there is room for at first
    slots_limit: int = 65_536  # and at most; what does not fit is counted
