"""The folder of all logs that a centre holds.

For each centre there is a folder of day files with a record a line, as `ALPHA/2026-03-01.jsonl`; a
partner's records lie under the day on which they came here. `keys.json` holds the public key that
each log begins with, by centre.
"""

from pathlib import Path

import msgspec

from skypact.core.errors import BadInputError
from skypact.journal.seal import canonical
from skypact.journal.store import read_file, write_file

FOLDER = "journal"  # in a centre's data folder
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
