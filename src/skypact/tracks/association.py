"""Which plot is of which track: probabilities where several compete, by belief propagation."""

from skypact.core.arrays import Floats1, Int32s1, MutableFloats1
from skypact.core.jit import kernel

_ROUNDS_MOST = 60
_ENOUGH = 1e-4  # change of a message below which the rounds end


@kernel
def pair_beliefs(
    pair_track: Int32s1,
    pair_plot: Int32s1,
    odds: Floats1,
    pairs: int,
    track_sum: MutableFloats1,
    plot_sum: MutableFloats1,
    message: MutableFloats1,
    belief: MutableFloats1,
) -> int:
    """The probability of each pair when a track has at most one plot and a plot at most one track.

    Tracks tell plots how much they want them, plots tell tracks how free they are, until it
    settles: exact when no circle of pairs competes, near the exact sum over all assignments otherwise.

    Args:
        pair_track: (Q,) track of each pair, from 0.
        pair_plot: (Q,) plot of each pair, from 0.
        odds: (Q,) of the pair against the track having no plot, before competition.
        pairs: how many of the Q are in use.
        track_sum: (T,) room to work in; ends as each track's odds of having any plot.
        plot_sum: (P,) room to work in.
        message: (Q,) room to work in.
        belief: (Q,) written to: probability that the pair belongs together.

    Returns:
        Rounds taken.

    Source: J. Williams, R. Lau, Approximate evaluation of marginal association probabilities
    with belief propagation, 2014.
    """
    for q in range(pairs):
        belief[q] = 1.0  # serves as the plot's message to the track until the end
    rounds = 0
    for _ in range(_ROUNDS_MOST):
        rounds += 1
        for q in range(pairs):
            track_sum[pair_track[q]] = 0.0
            plot_sum[pair_plot[q]] = 0.0
        for q in range(pairs):
            track_sum[pair_track[q]] += odds[q] * belief[q]
        for q in range(pairs):
            others = max(track_sum[pair_track[q]] - odds[q] * belief[q], 0.0)
            message[q] = odds[q] / (1.0 + others)
            plot_sum[pair_plot[q]] += message[q]
        change = 0.0
        for q in range(pairs):
            free = 1.0 / (1.0 + max(plot_sum[pair_plot[q]] - message[q], 0.0))
            change = max(change, abs(free - belief[q]))
            belief[q] = free
        if change < _ENOUGH:
            break
    for q in range(pairs):
        track_sum[pair_track[q]] = 0.0
    for q in range(pairs):
        track_sum[pair_track[q]] += odds[q] * belief[q]
    for q in range(pairs):
        belief[q] = odds[q] * belief[q] / (1.0 + track_sum[pair_track[q]])
    return rounds
