import asyncio
import json
import tracemalloc

import pytest
from fastapi.testclient import TestClient
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from skypact.benchmarks.scene import Scene, served
from skypact.core.errors import BadInputError
from skypact.display import server as display_server
from skypact.display.frame import FrameFlag, decode_frame
from skypact.display.hub import DisplayHub
from skypact.display.server import create_app, is_same_origin, make_server


@pytest.fixture
def scene():
    return Scene(5, start=1_700_000_000.0)


@pytest.fixture
def hub():
    return DisplayHub()


@pytest.fixture
def static(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "assets" / "worker.js").write_text("export {};" + "/* filling */" * 200)
    (tmp_path / "assets" / "face.woff2").write_bytes(b"wOF2")
    (tmp_path / "assets" / "land.json").write_text("{}")
    return tmp_path


@pytest.fixture
def client(hub, scene, static):
    with TestClient(create_app(hub, info=scene.info, static=static)) as client:
        yield client


@pytest.fixture
def sockets(hub, scene, static):
    with served(hub, scene.info, static) as url:
        yield url.replace("http", "ws")


def test_the_page_and_its_files_have_their_types(client):
    types = {
        "/": "text/html; charset=utf-8",
        "/assets/worker.js": "text/javascript; charset=utf-8",
        "/assets/face.woff2": "font/woff2",
        "/assets/land.json": "application/json",
    }
    for path, kind in types.items():
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
    assert client.get("/assets/absent.js").status_code == 404


def test_files_named_by_content_are_kept_by_browsers_and_the_page_is_asked_for_anew(client):
    assert "immutable" in client.get("/assets/worker.js").headers["cache-control"]
    assert client.get("/").headers["cache-control"] == "no-cache"


def test_the_content_policy_allows_nothing_foreign_and_no_eval(client):
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert client.get("/api/centre").headers["x-content-type-options"] == "nosniff"


def test_long_answers_are_compressed(client):
    answer = client.get("/assets/worker.js", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


def test_without_a_built_page_the_server_says_how_to_build_it(hub, scene, tmp_path):
    client = TestClient(create_app(hub, info=scene.info, static=tmp_path / "nothing"))
    answer = client.get("/")
    assert answer.status_code == 200
    assert "npm --prefix web run build" in answer.text


def test_only_the_own_page_may_open_a_socket():
    assert is_same_origin("http://127.0.0.1:8080", "127.0.0.1:8080")
    assert is_same_origin("https://alpha.example", "alpha.example")
    assert is_same_origin(None, "127.0.0.1:8080")
    assert not is_same_origin("http://evil.example", "127.0.0.1:8080")
    assert not is_same_origin("null", "127.0.0.1:8080")


def test_a_certificate_without_key_and_a_bad_one_are_one_clear_line(hub, scene, tmp_path):
    app = create_app(hub, info=scene.info)
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    with pytest.raises(BadInputError, match="needs its key"):
        make_server(app, "127.0.0.1", 0, certificate=bad)
    with pytest.raises(BadInputError, match="can't be used"):
        make_server(app, "127.0.0.1", 0, certificate=bad, key=bad)


async def until(is_true):
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.sleep(0.01)


async def receive(socket):
    return decode_frame(await asyncio.wait_for(socket.recv(), 10))


async def receive_event(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def test_a_foreign_page_is_refused_on_both_sockets(sockets):
    for path in ("/ws/picture", "/ws/events"):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(sockets + path, origin="http://evil.example")


async def test_a_new_client_gets_the_trails_and_then_the_newest_picture(hub, scene, sockets):
    for second in (0, 10, 20):
        hub.publish_picture(scene.picture(second))
    async with connect(f"{sockets}/ws/picture") as socket:
        assert not socket.protocol.extensions  # pictures are not compressed
        got = []
        for _ in range(4):
            got.append(await receive(socket))
            await socket.send(b"\0")
        assert [frame.sequence for frame in got] == [0, 10, 20, 20]
        assert [frame.flags for frame in got] == [FrameFlag.HISTORY] * 3 + [FrameFlag.NONE]


async def test_a_slow_client_misses_pictures_and_then_gets_the_newest_while_others_get_all(
    hub, scene, sockets
):
    hub.publish_picture(scene.picture(0))
    async with connect(f"{sockets}/ws/picture") as slow, connect(f"{sockets}/ws/picture") as quick:
        for socket in (slow, quick):
            assert (await receive(socket)).flags == FrameFlag.HISTORY
            await socket.send(b"\0")
            assert (await receive(socket)).sequence == 0
        seen = []
        for second in range(1, 6):
            await quick.send(b"\0")
            hub.publish_picture(scene.picture(second))
            seen.append((await receive(quick)).sequence)
        assert seen == [1, 2, 3, 4, 5]
        await slow.send(b"\0")
        assert (await receive(slow)).sequence == 5


async def test_memory_stays_flat_while_a_client_does_not_read(hub, sockets):
    pictures = [Scene(10_000).picture(sequence) for sequence in (1, 2)]
    address = f"{sockets}/ws/picture"
    hub.publish_picture(pictures[0])
    async with connect(address) as quick, connect(address, max_queue=1, close_timeout=1):
        await receive(quick)
        tracemalloc.start()
        try:
            for number in range(30):
                await quick.send(b"\0")
                hub.publish_picture(pictures[number % 2])
                await receive(quick)
                if number == 4:
                    before = tracemalloc.get_traced_memory()[0]
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert grown < 5_000_000


async def test_a_client_that_makes_no_progress_is_dropped(hub, scene, sockets, monkeypatch):
    monkeypatch.setattr(display_server, "PROGRESS_TIMEOUT", 0.2)
    async with connect(f"{sockets}/ws/picture") as socket:
        await until(lambda: hub.pages == 1)
        hub.publish_picture(scene.picture(1))
        await receive(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd.code == display_server.CLOSE_TRY_LATER
    await until(lambda: hub.pages == 0)


async def test_events_come_in_order_and_go_on_where_a_client_left_off(hub, scene, sockets):
    async with connect(f"{sockets}/ws/events") as socket:
        snapshot = await receive_event(socket)
        assert (snapshot["kind"], snapshot["data"]) == (
            "snapshot",
            {"tracks": [], "sensors": [], "partners": [], "words": [], "names": [], "view": None},
        )
        hub.publish_picture(scene.picture(1))
        assert (await receive_event(socket))["kind"] == "names"
        last = await receive_event(socket)
        assert last["kind"] == "tracks"
    hub.publish_event("note", 1)
    hub.publish_event("note", 2)
    async with connect(f"{sockets}/ws/events?epoch={last['epoch']}&after={last['id']}") as socket:
        assert [(await receive_event(socket))["data"] for _ in range(2)] == [1, 2]


async def test_clients_that_leave_are_forgotten(hub, sockets):
    async with connect(f"{sockets}/ws/picture"), connect(f"{sockets}/ws/events"):
        await until(lambda: hub.pages == 2)
    await until(lambda: hub.pages == 0)
