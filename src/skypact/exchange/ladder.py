"""Which rung of the ladder a link stands on: plots, tracks, alerts or alone.

It falls by itself when the link is cut or too thin for the rung, and climbs back by itself. The
first climb after a cut goes at once to the highest rung that is permitted; a climb after a fall for
want of room waits, and longer each time it fails, so that a thin link does not go up and down for ever.
"""

from dataclasses import dataclass

from skypact.exchange.model import Rung

FALL_AFTER = 4.0  # s that a rung may not fit; a stall of two seconds is no reason to leave it
FIRST_WAIT = 15.0  # s on a rung before the next is tried
LONGEST_WAIT = 240.0
PROVEN_AFTER = 60.0  # s on a rung after which its climb counts as a success


@dataclass
class Ladder:
    """The rung of what one centre gives one partner."""

    cap: Rung = Rung.PLOTS  # by release policy
    suspended_to: Rung | None = None  # by a person, until a person resumes
    reason: str = ""  # of the suspension
    is_linked: bool = False
    _fitting: Rung = Rung.PLOTS  # what the link has room for
    _wait: float = FIRST_WAIT
    _since: float | None = None  # when `_fitting` last changed; None without a link
    _misfit_since: float | None = None

    def step(self, now: float, is_linked: bool, fits: bool) -> None:
        """Take in whether the partner answers, and whether what is offered gets through in time."""
        self.is_linked = is_linked
        if not is_linked:
            self._misfit_since = self._since = None
            return
        if self._since is None:
            # What did not fit before a cut was perhaps the beginning of the cut.
            self._since, self._fitting = now, Rung.PLOTS
        if fits:
            self._misfit_since = None
            self._climb(now)
        elif self._misfit_since is None:
            self._misfit_since = now
        elif now - self._misfit_since >= FALL_AFTER and self.offered > Rung.ALERTS:
            self._fall(now)

    def suspend(self, rung: Rung, reason: str) -> None:
        """Give no more than a rung, `Rung.ALERTS` or `Rung.ALONE`, until `resume`; needs a reason."""
        assert rung <= Rung.ALERTS and reason
        self.suspended_to, self.reason = rung, reason

    def resume(self) -> None:
        """End a suspension; the link goes at once to the rung that fitted before."""
        self.suspended_to, self.reason = None, ""

    @property
    def permitted(self) -> Rung:
        """The highest rung that policy and people allow."""
        return self.cap if self.suspended_to is None else min(self.cap, self.suspended_to)

    @property
    def offered(self) -> Rung:
        """The rung that is served whenever the partner answers."""
        return min(self.permitted, self._fitting)

    @property
    def rung(self) -> Rung:
        """The rung that is served now."""
        return self.offered if self.is_linked else Rung.ALONE

    @property
    def why(self) -> str:
        """Why it is not a higher one; empty on the highest."""
        if self.suspended_to is not None and self.suspended_to <= self._fitting:
            return f"suspended: {self.reason}"
        if not self.is_linked:
            return "the partner does not answer"
        if self.cap <= self._fitting:
            return "" if self.cap is Rung.PLOTS else "capped by the release policy"
        return f"the link is too thin for {Rung(self._fitting + 1).name.lower()}"

    def _fall(self, now: float) -> None:
        assert self._since is not None
        self._wait = min(2.0 * self._wait, LONGEST_WAIT) if now - self._since < PROVEN_AFTER else FIRST_WAIT
        self._fitting = Rung(self.offered - 1)
        self._since, self._misfit_since = now, None

    def _climb(self, now: float) -> None:
        assert self._since is not None
        if self._fitting < self.permitted and now - self._since >= self._wait:
            self._fitting = Rung(self._fitting + 1)
            self._since = now
