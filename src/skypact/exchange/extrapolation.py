"""Where the tracks of a report are some seconds later, and how much less is known of them then."""

from dataclasses import replace

import numpy as np

from skypact.exchange.kernels import extrapolate_states
from skypact.exchange.model import TrackReport


def extrapolate_report(report: TrackReport, time: float) -> TrackReport:
    """The report with positions and covariances at `time` (UTC s since 1970); its own `time` says so.

    Tracks fly straight on, and the covariance grows by what a target may have done meanwhile. A track
    whose velocity is withheld stays where it is, and what it may fly grows its covariance. A `time`
    before that of the report takes the tracks back along their velocity.
    """
    latitude, longitude, covariance = extrapolate_states(
        np.ascontiguousarray(report.latitude),
        np.ascontiguousarray(report.longitude),
        np.ascontiguousarray(report.height),
        np.ascontiguousarray(report.velocity),
        np.ascontiguousarray(report.covariance),
        time - report.time,
    )
    return replace(report, time=time, latitude=latitude, longitude=longitude, covariance=covariance)
