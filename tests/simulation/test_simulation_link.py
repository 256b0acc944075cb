"""A simulated link passes bytes on, and none while it is cut."""

import asyncio
import contextlib
import time

import pytest

from skypact.simulation.link import Link, LinkProxy


@contextlib.asynccontextmanager
async def echo_through(link):
    """A connection through the link to a server that sends back what it gets."""

    async def echo(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = LinkProxy(link, server.sockets[0].getsockname()[:2])
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.close()
    await proxy.stop()
    server.close()


async def test_bytes_pass_in_order_both_ways():
    sent = bytes(range(256)) * 4000
    async with echo_through(Link()) as (reader, writer):
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent


@pytest.mark.parametrize("directions", [(), ("up",), ("down",)])
async def test_a_cut_holds_bytes_back_and_healing_delivers_them(directions):
    link = Link()
    async with echo_through(link) as (reader, writer):
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        link.cut(*directions)
        assert link.is_cut
        writer.write(b"during")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(6), 0.2)
        link.heal()
        assert await asyncio.wait_for(reader.readexactly(6), 5.0) == b"during"


async def test_a_slow_link_takes_its_time():
    async with echo_through(Link(delay=0.1, rate=100_000.0)) as (reader, writer):
        began = time.monotonic()
        writer.write(bytes(20_000))
        await reader.readexactly(20_000)
        # 0.2 s on the line and 0.1 s on the way, in each direction; the blocks of the way back overlap.
        assert time.monotonic() - began >= 0.4
