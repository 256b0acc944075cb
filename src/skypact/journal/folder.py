"""The folder of all logs that a centre holds.

For each centre there is a folder of day files with a record a line, as `ALPHA/2026-03-01.jsonl`; a
partner's records lie under the day on which they came here. `keys.json` holds the public key that
each log begins with, by centre. `former` holds such a folder for each log that a partner's new keys ended.
"""

from pathlib import Path

import msgspec

from skypact.core.errors import BadInputError
from skypact.journal.seal import canonical
from skypact.journal.store import read_file, write_file

FOLDER = "journal"  # in a centre's data folder
FORMER = "former"  # there, the logs of partners that came back with new keys
KEYS_FILE = "keys.json"


def journal_folder(path: Path) -> Path:
    """The folder of all logs: the one named, or the one in a centre's data folder.

    Raises:
        BadInputError: there is none.
    """
    for folder in (path, path / FOLDER):
        if (folder / KEYS_FILE).is_file():
            return folder
    raise BadInputError(f"no journal: {KEYS_FILE} is not there", str(path))


def read_keys(folder: Path) -> dict[str, str]:
    """The public key that each log in the folder begins with, hexadecimal, by centre.

    Raises:
        BadInputError: the folder holds no journal, or its keys can't be read.
    """
    path = folder / KEYS_FILE
    try:
        return msgspec.json.decode(read_file(path), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadInputError(str(error), str(path)) from None


def set_aside_former(folder: Path, centre: str, first_key: str) -> None:
    """Move the log of a centre to `former` where it begins with another key than this one, hexadecimal.

    Raises:
        BadInputError: the folder can't be used.
    """
    keys = read_keys(folder) if (folder / KEYS_FILE).exists() else {}
    former = keys.get(centre)
    if former in (None, first_key):
        return
    aside = folder / FORMER / f"{centre}-{former[:8]}"
    try:
        aside.mkdir(parents=True, exist_ok=True)
        write_file(aside / KEYS_FILE, canonical({centre: former}) + b"\n")
        if (folder / centre).exists():
            (folder / centre).rename(aside / centre)
    except OSError as error:
        raise BadInputError(error.strerror or "can't be written", str(aside)) from None
    write_file(
        folder / KEYS_FILE, canonical({name: key for name, key in keys.items() if name != centre}) + b"\n"
    )


def remember_key(folder: Path, centre: str, key: str) -> None:
    """Keep the public key, hexadecimal, that the centre's log begins with.

    Raises:
        BadInputError: another one is kept already: a log never begins anew under the same name.
    """
    keys = read_keys(folder) if (folder / KEYS_FILE).exists() else {}
    if keys.get(centre) == key:
        return
    if centre in keys:
        raise BadInputError(
            f"the journal of {centre} begins with another key", str(folder), "move its folder away first"
        )
    write_file(folder / KEYS_FILE, canonical(keys | {centre: key}) + b"\n")
