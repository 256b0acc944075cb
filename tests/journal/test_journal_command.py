"""What the journal's commands print, write and return."""

import hashlib
import json
import subprocess

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from journal_helpers import DAY, NOON, key_of, memory_journal, public_of, write_journal

from skypact.core.errors import BadInputError
from skypact.journal.command import export, show, verify
from skypact.journal.copies import open_copy
from skypact.journal.log import open_journal
from skypact.journal.model import LinkDown, LinkUp
from skypact.journal.seal import encode_record, withhold


@pytest.fixture
def data(tmp_path):
    """A centre's data folder: its own log over days, with a change of key, and a copy of a partner's."""
    folder = tmp_path / "data" / "journal"
    write_journal(folder, records=4, step=DAY / 3)
    journal = open_journal(folder, "ALPHA", key_of("ALPHA"))
    journal.change_key(key_of("new"), NOON + 2 * DAY)
    journal.append(LinkUp(partner="BRAVO"), NOON + 2 * DAY + 1, is_exercise=True)
    journal.close()
    records = memory_journal("BRAVO", records=3).read(0, 3)
    records[1] = withhold(records[1])
    copy = open_copy(folder, "BRAVO", public_of("BRAVO"))
    copy.take([(record.sequence, encode_record(record)) for record in records], NOON)
    copy.close()
    return tmp_path / "data"


def spoil(folder):
    path = folder / "ALPHA" / "2026-03-01.jsonl"
    path.write_bytes(path.read_bytes().replace(b"1 kB/s", b"9 kB/s"))


def test_show_prints_all_logs_by_time_and_each_in_its_order(data, capsys):
    assert show(data, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[1] for line in lines] == (
        ["ALPHA/1", "BRAVO/1", "BRAVO/2", "BRAVO/3"] + [f"ALPHA/{number}" for number in range(2, 7)]
    )
    assert lines[0] == "2026-03-01 12:00:00.000Z  ALPHA/1  link_up  partner=BRAVO"
    assert lines[2] == "2026-03-01 12:00:00.000Z  BRAVO/2  withheld"
    assert lines[-1] == "2026-03-03 12:00:01.000Z  ALPHA/6  link_up  EXERCISE  partner=BRAVO"


def test_show_prints_the_newest_records_as_one_json_document(data, capsys):
    assert show(data / "journal", as_json=True, last=2) == 0
    document = json.loads(capsys.readouterr().out)
    assert [record["content"]["event"]["kind"] for record in document["records"]] == [
        "key_changed",
        "link_up",
    ]


def test_show_says_which_line_it_could_not_read(data, capsys):
    path = data / "journal" / "ALPHA" / "2026-03-01.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"centre"', b'"center"', 1))
    assert show(data, as_json=False) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 8
    assert "2026-03-01.jsonl of ALPHA, line 1" in said.err


def test_a_partners_words_do_not_steer_the_terminal(tmp_path, capsys):
    journal = open_journal(tmp_path, "ALPHA", key_of("ALPHA"))
    journal.append(LinkDown(partner="BRAVO", reason="\x1b[2J\x9b31m\u202eevil\n"), NOON)
    journal.close()
    show(tmp_path, as_json=False)
    printed = capsys.readouterr().out
    assert printed.endswith("reason=\\x1b[2J\\x9b31m\\u202eevil\\n\n")


def test_verify_proves_a_good_journal_and_names_the_keys_to_compare(data, capsys):
    assert verify(data, as_json=False) == 0
    printed = capsys.readouterr().out
    assert "ALPHA: 6 records\n" in printed
    assert "BRAVO: 3 records, 1 of them withheld\n" in printed
    assert f"begins with key {public_of('ALPHA')} (compare it" in printed
    assert printed.endswith("proved\n")


def test_verify_names_the_record_that_was_changed(data, capsys):
    spoil(data / "journal")
    assert verify(data, as_json=False) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "ALPHA/2026-03-01.jsonl, line 2: record ALPHA/2 was changed after it was sealed"
    assert verify(data, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert not document["is_good"]
    assert [(found["centre"], found["sequence"]) for found in document["findings"]] == [("ALPHA", 2)]
    assert [(log["centre"], log["records"], log["key"]) for log in document["logs"]] == [
        ("ALPHA", 6, public_of("new")),
        ("BRAVO", 3, public_of("BRAVO")),
    ]


def test_an_export_proves_itself_and_is_whole(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert export(data, out, as_json=False) == 0
    assert capsys.readouterr().out.endswith("proved\n")
    assert verify(out, as_json=True) == 0
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        "ALPHA/2026-03-01.jsonl",
        "ALPHA/2026-03-02.jsonl",
        "ALPHA/2026-03-03.jsonl",
        "BRAVO/2026-03-01.jsonl",
        "README.md",
        "SHA256SUMS",
        "keys.json",
    }
    assert public_of("BRAVO") in (out / "README.md").read_text()
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=out, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_an_export_is_proved_by_its_readme_alone(data, tmp_path):
    """The steps of the README, written apart from the code that they describe."""
    export(data, tmp_path / "out", as_json=True)
    keys = json.loads((tmp_path / "out" / "keys.json").read_text())
    proved = 0
    for centre, key in keys.items():
        sequence, previous = 0, "0" * 64
        for path in sorted((tmp_path / "out" / centre).iterdir()):
            for record in map(json.loads, path.read_text().splitlines()):
                assert (record["centre"], record["sequence"]) == (centre, sequence + 1)
                assert record["previous"] == previous
                content = record.get("content")
                if not record.get("withheld"):
                    assert hashlib.sha256(rfc8785.dumps(content)).hexdigest() == record["digest"]
                names = ("centre", "digest", "previous", "sequence")
                seal = rfc8785.dumps({name: record[name] for name in names})
                assert hashlib.sha256(seal).hexdigest() == record["hash"]
                signed = f"skypact journal record {record['hash']}".encode()
                public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
                public.verify(bytes.fromhex(record["signature"]), signed)
                if content and content["event"]["kind"] == "key_changed":
                    key = content["event"]["key"]
                sequence, previous = sequence + 1, record["hash"]
                proved += 1
    assert proved == 9


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (spoil, "was changed since the export"),
        (lambda out: (out / "BRAVO" / "2026-03-01.jsonl").unlink(), "is missing"),
        (lambda out: (out / "SHA256SUMS").unlink(), "is missing"),
        (lambda out: (out / "extra").write_text(""), "is not of the export"),
        (lambda out: (out / "README.md").write_text("believe me"), "was changed since the export"),
        (lambda out: (out / "SHA256SUMS").write_text("nonsense\n"), "is not a checksum and a file's name"),
    ],
)
def test_an_export_that_was_changed_is_found_out(data, tmp_path, capsys, harm, what):
    out = tmp_path / "out"
    export(data, out, as_json=True)
    harm(out)
    capsys.readouterr()
    assert verify(out, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["what"] == what


def test_an_export_of_a_running_centre_leaves_the_unfinished_line_out(data, tmp_path):
    path = data / "journal" / "ALPHA" / "2026-03-03.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"centre"')
    assert export(data, tmp_path / "out", as_json=True) == 0
    assert (tmp_path / "out" / "ALPHA" / "2026-03-03.jsonl").read_bytes() == whole


def test_an_export_of_a_spoilt_journal_is_written_and_says_so(data, tmp_path, capsys):
    spoil(data / "journal")
    assert export(data, tmp_path / "out", as_json=False) == 1
    assert "record ALPHA/2 was changed" in capsys.readouterr().out
    assert (tmp_path / "out" / "SHA256SUMS").exists()


def test_an_export_never_writes_into_a_folder_that_holds_something(data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("")
    with pytest.raises(BadInputError, match="new folder"):
        export(data, tmp_path / "out", as_json=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]


@pytest.mark.parametrize("command", [show, verify])
def test_a_folder_without_a_journal_is_one_clear_error(tmp_path, command):
    with pytest.raises(BadInputError, match="no journal"):
        command(tmp_path, as_json=False)


def test_keys_that_are_no_keys_are_an_error_or_a_finding(tmp_path, capsys):
    write_journal(tmp_path)
    (tmp_path / "keys.json").write_bytes(msgspec.json.encode({"ALPHA": "no key"}))
    assert verify(tmp_path, as_json=True) == 1
    (tmp_path / "keys.json").write_bytes(b"[1]")
    with pytest.raises(BadInputError, match="keys"):
        verify(tmp_path, as_json=False)
