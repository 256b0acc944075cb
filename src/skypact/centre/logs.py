"""Log lines as an event plus key-values: `12:00:01.250Z INFO centre started centre=ALPHA`."""

import logging
import sys
from datetime import UTC, datetime

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class KeyValueFormatter(logging.Formatter):
    """Time in UTC, level, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; an exception follows on lines of its own."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        facts = [f"{key}={_quoted(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        line = " ".join([f"{time}Z", record.levelname, record.getMessage(), *facts])
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


def start_logging(level: int = logging.INFO) -> None:
    """Log lines of the whole program go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("skypact").setLevel(level)


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(character.isspace() for character in text) else text
