"""The lines of a log: what files give back is what a list would."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from journal_helpers import DAY, NOON

from skypact.journal.store import DayFiles, MemoryLines

lines = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=5)
steps = st.one_of(
    st.tuples(st.just("append"), lines, st.sampled_from([-1, 0, 0, 0, 1, 2])),
    st.tuples(st.just("read"), st.integers(0, 20), st.integers(0, 20)),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
)


@given(st.lists(steps, max_size=12))
@settings(deadline=None)
def test_files_keep_what_memory_keeps_over_days_steps_of_the_clock_and_restarts(story):
    with tempfile.TemporaryDirectory() as folder:
        files, memory = DayFiles(Path(folder)), MemoryLines()
        now = NOON
        for what, first, second in story:
            if what == "append":
                now += second * DAY
                for store in (files, memory):
                    store.append(first, now)
            elif what == "read":
                assert files.read(first, second) == memory.read(first, second)
            else:
                files.close()
                files = DayFiles(Path(folder))
            assert files.count == memory.count
        assert files.read(0, 99) == memory.lines
        files.close()
