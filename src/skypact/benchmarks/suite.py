"""All benchmarks by name, and a table of what they measured."""

from collections.abc import Callable, Sequence
from importlib import import_module

from rich.table import Table

from skypact.benchmarks.model import Figure
from skypact.core.errors import BadInputError

NAMES = (
    "asterix",
    "receive",
    "tracking",
    "live",
    "accuracy",
    "fusion",
    "cut",
    "recorded",
    "federation",
    "display",
    "start",
)


def run_benchmarks(names: Sequence[str], started: Callable[[str], None]) -> dict[str, list[Figure]]:
    """Run the benchmarks of these names, all where there are none; `started` is told each name.

    Raises:
        BadInputError: there is no such benchmark.
    """
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise BadInputError("no such benchmark", unknown[0], f"one of {', '.join(NAMES)}")
    figures = {}
    for name in names or NAMES:
        started(name)
        figures[name] = import_module(f"skypact.benchmarks.{name}").run()
    return figures


def figures_table(name: str, figures: Sequence[Figure]) -> Table:
    """One benchmark's figures for people."""
    table = Table(title=name, title_justify="left")
    for heading in ("figure", "value", "held against", "its value", "ratio", "target", "note"):
        table.add_column(heading, overflow="fold")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:,.4g} {figure.unit}",
            figure.peer,
            "" if figure.peer_value is None else f"{figure.peer_value:,.4g} {figure.unit}",
            "" if figure.ratio is None else f"{figure.ratio:,.3g}",
            figure.target,
            figure.note,
        )
    return table
