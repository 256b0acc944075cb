"""The pages of the documentation, and what stands in them for readers to type."""

import re
import shlex
from pathlib import Path

import typer

from skypact.cli import app

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
ROOT = typer.main.get_command(app)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def page_name(page):
    return str(page.relative_to(PROJECT))


def blocks(page, language):
    return [content for found, content in _FENCE.findall(page.read_text()) if found == language]


def spans(text):
    """What stands between backquotes in running text, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _FENCE.sub("", text))]


def typed_lines(page):
    """The lines of shell blocks, without what is said of them or done with their output."""
    lines = [
        line for language in ("", "sh") for block in blocks(page, language) for line in block.splitlines()
    ]
    return [_without_remark(line) for line in lines]


def typed_commands(page):
    """The arguments of each whole `skypact ...` of a page, in order, those of blocks first."""
    whole = [_words(line) for line in typed_lines(page) if line.startswith("skypact ")]
    return whole + [words for words in _spoken(page) if not _is_mention(words)]


def mentions(page):
    """The arguments of each `skypact ...` that names a command, or an option of it, without its values."""
    return [words for words in _spoken(page) if _is_mention(words)]


def help_examples():
    """The arguments of the example that each command's help ends with."""
    return [_words(_without_remark(command.epilog.partition("Example: ")[2])) for command in leaves()]


def find_command(words):
    """The command, or the group of commands, that these words name, and the words after it."""
    command = ROOT
    for number, word in enumerate(words):
        if word not in getattr(command, "commands", {}):
            return command, words[number:]
        command = command.commands[word]
    return command, []


def leaves(group=ROOT):
    """All commands that do something, those of groups too."""
    for command in group.commands.values():
        yield from leaves(command) if hasattr(command, "commands") else [command]


def options(command):
    return {name for parameter in command.params for name in parameter.opts if name.startswith("-")}


def _spoken(page):
    return [_words(span) for span in spans(page.read_text()) if span.startswith("skypact ")]


def _is_mention(words):
    return not find_command(words)[1] or words[-1].startswith("-")


def _words(line):
    return shlex.split(line)[1:]


def _without_remark(line):
    return re.split(r"\s{2,}|\s+[#>]", line.strip())[0]
