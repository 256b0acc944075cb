"""Commands reach a running centre through the socket in its data folder."""

import asyncio
import stat

import pytest

from skypact.centre.control import ControlServer, ask_centre, is_running
from skypact.core.errors import BadInputError


async def _refuse(request):
    raise BadInputError("not possible now", "here", "later")


async def _double(request):
    return {"twice": 2 * request["number"]}


HANDLERS = {"double": _double, "refuse": _refuse}


async def ask(folder, command, **arguments):
    return await asyncio.to_thread(ask_centre, folder, command, **arguments)


async def test_a_command_is_answered_and_a_refusal_says_why(tmp_path):
    server = ControlServer(tmp_path, HANDLERS)
    await server.start()
    assert await ask(tmp_path, "double", number=21) == {"twice": 42}
    with pytest.raises(BadInputError, match="not possible now"):
        await ask(tmp_path, "refuse")
    with pytest.raises(BadInputError, match="no command 'dance'"):
        await ask(tmp_path, "dance")
    await server.stop()


async def test_only_the_centres_own_user_may_open_the_socket(tmp_path):
    server = ControlServer(tmp_path, HANDLERS)
    await server.start()
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    await server.stop()
    assert not server.path.exists()


async def test_a_second_centre_on_the_same_folder_is_refused_but_a_dead_ones_socket_is_not_in_the_way(
    tmp_path,
):
    first = ControlServer(tmp_path, HANDLERS)
    await first.start()
    with pytest.raises(BadInputError, match="runs on this folder already"):
        await ControlServer(tmp_path, HANDLERS).start()
    await first.stop()
    first.path.touch()
    second = ControlServer(tmp_path, HANDLERS)
    await second.start()
    assert await asyncio.to_thread(is_running, tmp_path)
    await second.stop()


def test_without_a_running_centre_a_command_says_so(tmp_path):
    with pytest.raises(BadInputError, match="no centre runs on this folder"):
        ask_centre(tmp_path, "status")
