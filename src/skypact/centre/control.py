"""How commands reach a running centre on the same machine: one JSON line each way on a Unix socket.

The socket lies in the centre's data folder and only its user may open it, so that whoever can run
the centre, and nobody else, can steer it from the command line.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from skypact.core.errors import BadInputError, SkypactError

log = logging.getLogger(__name__)

SOCKET_FILE = "control.sock"
LONGEST_LINE = 16_000_000  # octets: a view of all tracks fits
ANSWER_TIMEOUT = 20.0  # s
LONGEST_PATH = 100  # octets that the name of a Unix socket may have, with room for a platform's own limit

Handler = Callable[[dict[str, Any]], Awaitable[Any]]


class _Answer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a command gets back."""

    result: Any = None
    error: str | None = None


class ControlServer:
    """Answers commands while the centre runs."""

    def __init__(self, folder: Path, handlers: Mapping[str, Handler]) -> None:
        """Args: `folder` is the centre's data folder; `handlers` answer each command by its name."""
        self.path = folder / SOCKET_FILE
        self._handlers = handlers
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            BadInputError: another centre runs on the same data folder, or the name is too long.
        """
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            raise BadInputError(
                "too long a name for a socket", str(self.path), "choose a shorter data folder"
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            if is_running(self.path.parent):
                raise BadInputError("a centre runs on this folder already", str(self.path.parent))
            self.path.unlink()
        previous = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._answer, self.path, limit=LONGEST_LINE)
        finally:
            os.umask(previous)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self.path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = msgspec.json.decode(await reader.readline(), type=dict[str, Any])
            handler = self._handlers.get(str(request.get("command")))
            if handler is None:
                answer = _Answer(error=f"no command {request.get('command')!r}")
            else:
                answer = _Answer(result=msgspec.to_builtins(await handler(request)))
        except (msgspec.DecodeError, ValueError) as error:
            answer = _Answer(error=f"not understood: {error}")
        except SkypactError as error:
            answer = _Answer(error=str(error))
        except Exception:
            # Our own mistake must not leave whoever asked without an answer.
            log.exception("command failed")
            answer = _Answer(error="the centre failed at it; its log says more")
        try:
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
            writer.close()
        except ConnectionError:
            pass  # the command was interrupted: nobody waits for the answer


def is_running(folder: Path) -> bool:
    """Whether a centre runs on a data folder."""
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(str(folder / SOCKET_FILE))
        except OSError:
            return False
    return True


def ask_centre(folder: Path, command: str, **arguments: Any) -> Any:
    """The result of a command that the centre running on a data folder carries out.

    Raises:
        BadInputError: no centre runs there, or it refuses.
    """
    path = folder / SOCKET_FILE
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_TIMEOUT)
        try:
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode({"command": command, **arguments}) + b"\n")
            with connection.makefile("rb") as lines:
                answer = msgspec.json.decode(lines.readline(), type=_Answer)
        except OSError:
            raise BadInputError(
                "no centre runs on this folder", str(folder), "start it with `skypact run`"
            ) from None
        except msgspec.DecodeError:
            raise BadInputError("the centre stopped while it was asked", str(folder)) from None
    if answer.error is not None:
        raise BadInputError(answer.error, command)
    return answer.result
