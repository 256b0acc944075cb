"""Which files a user means by some paths, and a bar that shows how much of them has been read."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from skypact.core.errors import BadInputError


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files in a folder and in the folders below it, by name; no hidden ones.

    Raises:
        BadInputError: the folder holds none, or can't be read.
    """
    if not path.is_dir():
        return [path]
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not files:
        raise BadInputError("no file in the folder that can be read", str(path))
    return files


@contextmanager
def reading_bar(files: Sequence[Path], console: Console) -> Iterator[Iterable[Path]]:
    """Gives the files one after the other, and shows how many of their bytes are done on a terminal.

    A file counts as done when the next one is asked for.
    """
    sizes = [_size(file) for file in files]
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=sum(sizes))

        def each() -> Iterator[Path]:
            for file, size in zip(files, sizes, strict=True):
                progress.update(task, description=f"reading {file.name}")
                yield file
                progress.advance(task, size)

        yield each()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # reading it will tell what is wrong
