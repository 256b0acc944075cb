"""The export: all logs of a centre in a folder that anybody can keep, read and prove without the centre."""

from pathlib import Path

from skypact import __version__
from skypact.core.errors import BadInputError
from skypact.journal.folder import KEYS_FILE, read_keys
from skypact.journal.seal import canonical
from skypact.journal.store import ASIDE_FILE, day_files, make_folder, read_file, write_file
from skypact.journal.verify import README_FILE, SUMS_FILE, file_sum

_README = """\
# A decision log

Written by Skypact {version}. It holds the log of each centre named below: what befell the centre, what
its people did, each record chained to the one before and signed. Nothing here needs the network or a
running centre. What a partner withheld is there as a record without content, so that none is missing
unseen.

Logs and the public Ed25519 keys that they begin with:

{keys}

**Compare these keys with what each centre tells you by another way** (`skypact partner status` on its
machine, or on paper): whoever could change this folder could change the keys in it.

## Prove it

    skypact journal verify .

says for each log how many records it holds, where it ends, and every record that is changed, missing,
added, moved or not signed by its centre. A log whose newest records were left out looks whole: compare
its last record's number and hash with a partner's export.

## Read it

    skypact journal show .

or any text editor: `CENTRE/DAY.jsonl` holds one record a line, in JSON (RFC 8785, UTF-8). Times are UTC
seconds since 1970.

## Prove it without Skypact

`sha256sum -c SHA256SUMS` proves the files. For each record of a log in order, with *canonical* for
RFC 8785, SHA-256 as 64 lower-case hexadecimal digits, and Ed25519 as in RFC 8032:

1. `sequence` is one more than that of the record before, from 1; `previous` is the `hash` of the record
   before, for the first one 64 zeros; `centre` is the name of the log's folder.
2. `digest` is SHA-256 of canonical `content` (where `withheld` is true there is none).
3. `hash` is SHA-256 of the canonical object of `centre`, `digest`, `previous` and `sequence`.
4. `signature` is Ed25519 of the ASCII text `skypact journal record ` (with the blank) followed by the
   64 digits of `hash`, by the log's key: the first one is in `keys.json`, and after a record whose event
   is of kind `key_changed` it is the `key` in that event.
5. Where `content` holds an `act`, `person.signature` is Ed25519 of canonical `act` by `person.key`.
"""


def export_journal(folder: Path, destination: Path) -> list[Path]:
    """Copy all logs of a folder with keys, README and checksums; the files written.

    The folder may be that of a running centre: an unfinished line at the end is left out.

    Raises:
        BadInputError: no journal there, or the destination is not empty.
        JournalWriteError: the destination can't be written.
    """
    keys = read_keys(folder)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise BadInputError("is there already", str(destination), "choose a new folder")
    written: list[Path] = []

    def put(name: str, octets: bytes) -> None:
        path = destination / name
        make_folder(path.parent)
        write_file(path, octets)
        written.append(path)

    try:
        put(KEYS_FILE, canonical(keys) + b"\n")
        for centre in sorted(keys):
            for path in day_files(folder / centre):
                octets = read_file(path)
                put(f"{centre}/{path.name}", octets[: octets.rfind(b"\n") + 1])
            if (folder / centre / ASIDE_FILE).exists():
                put(f"{centre}/{ASIDE_FILE}", read_file(folder / centre / ASIDE_FILE))
        lines = "\n".join(f"- {centre}: `{key}`" for centre, key in sorted(keys.items()))
        put(README_FILE, _README.format(version=__version__, keys=lines).encode())
        sums = [f"{file_sum(path)}  {path.relative_to(destination).as_posix()}\n" for path in written]
        put(SUMS_FILE, "".join(sums).encode())
    except OSError as error:
        raise BadInputError(error.strerror or "can't be used", str(error.filename or destination)) from None
    return written
