"""Write the ASTERIX tables of the codec from the definitions of the asterix-specs project.

    python tools/generate_asterix_tables.py FOLDER_OF_ASTERIX_SPECS [--out FOLDER]

The definitions (https://github.com/zoranbosnjak/asterix-specs, BSD-3-Clause) are indented text. One JSON file
per category results: its editions, and the item structures that they share. A structure is

    {"fixed": [FIELD, ...]}                     a field is [name, bits, content, bit value, unit],
    {"extended": [[FIELD, ...], ...]}           parts, each but a last one without FX followed by an FX bit
    {"repetitive": 1 | "fx", "of": [FIELD...]}  counted by one octet, or by FX bits
    {"explicit": "re" | "sp"}                   a length octet that counts itself, then content
    {"compound": [[name, structure] | null...]} led by its own FSPEC
    {"rfs": true}                               random field sequencing

with content "raw", "unsigned", "signed", "ascii", "icao", "octal"; a field without a name is spare.
"""

import argparse
import json
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

CATEGORIES = (1, 2, 10, 19, 20, 21, 34, 48, 62, 63, 65)
SOURCE = "https://github.com/zoranbosnjak/asterix-specs commit c2b3d676a335"
LICENCE = "BSD-3-Clause, Copyright (c) 2019, KZPS"

Structure = dict[str, Any]
Field = list[Any]


@dataclass(slots=True)
class Line:
    """A line of a definition and the lines that are indented below it."""

    text: str
    children: list["Line"] = field(default_factory=list)

    def child(self, text: str) -> "Line":
        """The first child that reads `text`."""
        return next(line for line in self.children if line.text == text)


def parse_lines(text: str) -> Line:
    """The tree that the indentation tells."""
    root = Line("")
    open_lines: list[tuple[int, Line]] = [(-1, root)]
    for raw in text.splitlines():
        if not raw.strip():
            continue
        indent = len(raw) - len(raw.lstrip(" "))
        line = Line(raw.strip())
        while open_lines[-1][0] >= indent:
            open_lines.pop()
        open_lines[-1][1].children.append(line)
        open_lines.append((indent, line))
    return root


def read_edition(path: Path) -> dict[str, Any]:
    """Category, edition, date, field order and item structures of one definition."""
    root = parse_lines(path.read_text(encoding="utf-8"))
    heads = {line.text.split()[0]: line for line in root.children}
    items = {_name(line): _structure(line) for line in heads["items"].children}
    edition: dict[str, Any] = {
        "category": int(heads["asterix"].text.split()[1]),
        "edition": heads["edition"].text.split()[1],
        "date": heads["date"].text.split()[1],
        "items": items,
    }
    if "uap" in heads:
        edition["uap"] = {"": [line.text for line in heads["uap"].children]}
    else:
        variations = heads["uaps"].child("variations")
        edition["uap"] = {line.text: [slot.text for slot in line.children] for line in variations.children}
        case = next(line for line in heads["uaps"].children if line.text.startswith("case "))
        edition["case"] = [case.text.split()[1], [line.text.split(": ")[1] for line in case.children]]
    if any("rfs" in slots for slots in edition["uap"].values()):
        items["rfs"] = {"rfs": True}
    return edition


def _name(line: Line) -> str:
    match = re.fullmatch(r'(\S+) "(.*)"', line.text)
    assert match, line.text
    return match[1]


def _structure(item: Line) -> Structure:
    for line in item.children:
        words = line.text.split()
        if words[0] in ("element", "group"):
            return {"fixed": _fields("", [item])}
        if words[0] == "extended":
            parts: list[list[Field]] = [[]]
            for part in line.children:
                if part.text == "-":
                    parts.append([])
                else:
                    name = "" if part.text.startswith("spare ") else _name(part)
                    parts[-1] += _fields(name, [part])
            ends_open = bool(parts[-1])
            return {"extended": parts if ends_open else parts[:-1], "fx_last": not ends_open}
        if words[0] == "repetitive":
            assert words[1] in ("1", "fx"), line.text
            return {"repetitive": "fx" if words[1] == "fx" else 1, "of": _fields("", [line])}
        if words[0] == "explicit":
            return {"explicit": words[1]}
        if words[0] == "compound":
            subs = [None if sub.text == "-" else [_name(sub), _structure(sub)] for sub in line.children]
            return {"compound": subs}
    raise ValueError(f"{item.text}: no structure")


def _fields(prefix: str, owners: list[Line]) -> list[Field]:
    """Fields of the element or group below each owner, with names joined by `/` inside `prefix`."""
    fields: list[Field] = []
    for owner in owners:
        words = owner.text.split()
        if words[0] == "spare":
            fields.append(["", int(words[1])])
            continue
        for line in owner.children:
            kind = line.text.split()[0]
            if kind == "element":
                fields.append([prefix, int(line.text.split()[1]), *_content(line.children[0])])
                break
            if kind == "group":
                for member in line.children:
                    inner = "" if member.text.startswith("spare ") else _name(member)
                    fields += _fields("/".join(filter(None, (prefix, inner))), [member])
                break
        else:
            raise ValueError(f"{owner.text}: no element")
    return fields


def _content(line: Line) -> list[Any]:
    words = line.text.split()
    if words[0] == "string":
        return [words[1]]
    if words[0] in ("signed", "unsigned"):
        if words[1] == "integer":
            return [words[0]]
        match = re.match(r'quantity (\S+) "(.*?)"', line.text.split(" ", 1)[1])
        assert match, line.text
        return [words[0], str(_fraction(match[1])), match[2]]
    # Tables, Comm-B registers and contents that depend on another field are handed on as bits.
    assert words[0] in ("raw", "table", "bds", "case"), line.text
    return ["raw"]


def _fraction(text: str) -> Fraction:
    numerator, _, denominator = text.partition("/")
    base, _, power = denominator.partition("^")
    return Fraction(int(numerator), int(base or 1) ** int(power or 1))


def make_table(folder: Path, category: int) -> dict[str, Any]:
    """All editions of a category in one table; equal structures are kept once."""
    structures: list[Structure] = []
    editions = {}
    paths = sorted(folder.glob(f"specs/cat{category:03d}/cat-*.ast"), key=_edition_order)
    for path in paths:
        edition = read_edition(path)
        assert edition.pop("category") == category, path
        for name, structure in edition["items"].items():
            if structure not in structures:
                structures.append(structure)
            edition["items"][name] = structures.index(structure)
        editions[edition.pop("edition")] = edition
    if not editions:
        raise SystemExit(
            f"{folder}: no definition of category {category:03d} (give the asterix-specs folder)"
        )
    return {
        "category": category,
        "source": SOURCE,
        "licence": LICENCE,
        "editions": editions,
        "structures": structures,
    }


def _edition_order(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in path.stem.removeprefix("cat-").split("."))


def table_text(table: dict[str, Any]) -> str:
    """The table as JSON with one edition or structure per line, which keeps changes readable."""
    lines = [f"  {json.dumps(key)}: {_one_line(table[key])}," for key in ("category", "source", "licence")]
    editions = [f"    {json.dumps(name)}: {_one_line(value)}" for name, value in table["editions"].items()]
    structures = [f"    {_one_line(structure)}" for structure in table["structures"]]
    return "\n".join(
        [
            "{",
            *lines,
            '  "editions": {',
            ",\n".join(editions),
            "  },",
            '  "structures": [',
            ",\n".join(structures),
            "  ]",
            "}\n",
        ]
    )


def _one_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Write one table per category."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="asterix-specs: the folder that holds specs/")
    tables = Path(__file__).resolve().parent.parent / "src" / "skypact" / "asterix" / "tables"
    parser.add_argument("--out", type=Path, default=tables)
    arguments = parser.parse_args()
    for category in CATEGORIES:
        text = table_text(make_table(arguments.folder, category))
        (arguments.out / f"cat{category:03d}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
