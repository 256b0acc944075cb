"""What a hostile partner can do: Bravo has removed every limit from its own configuration."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import nats
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats_federation import Federation

from skypact.exchange import nats_server
from skypact.exchange.engine import Inlet, StoredRecord
from skypact.exchange.nats_config import LOCAL_INBOX, LocalAccess, ServerConfig, server_config
from skypact.exchange.nats_server import NatsServer, free_port

QUIET = 1.5  # s in which an attack that works would have shown

API_CALLS = {
    "INFO": b"",
    "ACCOUNT.INFO": b"",
    "STREAM.NAMES": b"",
    "STREAM.LIST": b"",
    "STREAM.CREATE.LOOT": b'{"name":"LOOT","subjects":["ALPHA.>"]}',
    "STREAM.UPDATE.JOURNAL": b'{"name":"JOURNAL","subjects":["loot"]}',
    "STREAM.INFO.JOURNAL": b"",
    "STREAM.DELETE.JOURNAL": b"",
    "STREAM.PURGE.VALUES": b"",
    "STREAM.MSG.GET.JOURNAL": b'{"seq":1}',
    "STREAM.MSG.DELETE.JOURNAL": b'{"seq":1}',
    "STREAM.SNAPSHOT.JOURNAL": b'{"deliver_subject":"loot"}',
    "STREAM.RESTORE.JOURNAL": b"{}",
    "DIRECT.GET.JOURNAL": b'{"seq":1}',
    "CONSUMER.CREATE.JOURNAL": b'{"stream_name":"JOURNAL","config":{"deliver_subject":"loot"}}',
    "CONSUMER.CREATE.JOURNAL.LOOT": b'{"stream_name":"JOURNAL","config":{"name":"LOOT"}}',
    "CONSUMER.DURABLE.CREATE.JOURNAL.LOOT": b'{"stream_name":"JOURNAL","config":{"durable_name":"LOOT"}}',
    "CONSUMER.NAMES.JOURNAL": b"",
    "CONSUMER.LIST.JOURNAL": b"",
    "CONSUMER.INFO.JOURNAL.READER": b"",
    "CONSUMER.DELETE.JOURNAL.READER": b"",
    "CONSUMER.PAUSE.JOURNAL.READER": b'{"pause_until":"2099-01-01T00:00:00Z"}',
    "CONSUMER.UNPIN.JOURNAL.READER": b"{}",
    "CONSUMER.MSG.NEXT.JOURNAL.READER": b"",
    "SERVER.REMOVE": b"{}",
    "META.LEADER.STEPDOWN": b"",
}


def without_limits(text: str) -> str:
    """The configuration of a server whose own deny lists and permissions are gone."""
    text = re.sub(r"deny_(imports|exports): \[.*\]\n", "", text)
    text = re.sub(r", permissions: \{\s*publish: .*\n\s*subscribe: .*\n\s*\} \}", " }", text)
    assert "deny" not in text and "permissions" not in text
    return text


@pytest.fixture
def hostile(
    nats_federation: Callable[..., Federation], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Federation]:
    """Alpha gives Bravo and Charlie something each; Bravo is hostile."""

    def written(config: ServerConfig, local: LocalAccess) -> str:
        text = server_config(config, local)
        return without_limits(text) if config.centre == "BRAVO" else text

    monkeypatch.setattr(nats_server, "server_config", written)
    federation = nats_federation("ALPHA", "BRAVO", "CHARLIE")
    federation.start()
    alpha = federation.engines["ALPHA"]
    for partner in ("BRAVO", "CHARLIE"):
        outlet = alpha.outlet(partner)
        outlet.put("tile.0", f"for {partner}".encode())
        for sequence in range(1, 4):
            outlet.append(sequence, f"record {sequence} for {partner}".encode())
        read_records(federation, federation.engines[partner].inlet("ALPHA"), 3)
    yield federation


def read_records(federation: Federation, inlet: Inlet, count: int) -> list[StoredRecord]:
    """The next records of an inlet."""
    came: list[StoredRecord] = []

    def has_all() -> bool:
        came.extend(inlet.take_records())
        return len(came) >= count

    federation.until(has_all)
    return came


async def connect(federation: Federation, centre: str, user: str) -> Client:
    """A client of a centre's own server; a hostile one has its inbox where the links carry answers."""
    login = federation.servers[centre].login(user)
    inbox = "$JSC.R" if centre == "BRAVO" else LOCAL_INBOX
    return await nats.connect(login.url, user=login.user, password=login.password, inbox_prefix=inbox)


@contextlib.asynccontextmanager
async def listening(client: Client):
    """All that a client's account sees, by subject, besides its own inbox."""
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    await client.subscribe(">", cb=hear)
    await client.flush()
    yield heard


async def streams(client: Client) -> dict[str, tuple[int, int]]:
    """Messages and last sequence of each stream in the client's account."""
    infos = await client.jetstream().streams_info()
    return {info.config.name: (info.state.messages, info.state.last_seq) for info in infos}


async def answered(client: Client, prefix: str) -> list[str]:
    """Which calls of a JetStream interface are answered."""

    async def call(name: str, payload: bytes) -> bool:
        try:
            await client.request(f"{prefix}.{name}", payload, timeout=QUIET)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            return False
        return True

    done = await asyncio.gather(*(call(name, payload) for name, payload in API_CALLS.items()))
    return [name for name, was_answered in zip(API_CALLS, done, strict=True) if was_answered]


async def test_a_partner_hears_nothing_but_what_its_outlet_sends(hostile: Federation):
    alpha = hostile.engines["ALPHA"]
    bravo = await connect(hostile, "BRAVO", "inlet/ALPHA")
    own = await connect(hostile, "ALPHA", "outlet/BRAVO")
    async with listening(bravo) as heard:
        await own.publish("hidden.plans", b"unreleased")
        await own.publish("ALPHA.hidden", b"unreleased")
        await own.publish("BRAVO.live.plots", b"unreleased")
        alpha.outlet("CHARLIE").publish("plots", b"for CHARLIE")
        alpha.outlet("CHARLIE").put("tile.1", b"for CHARLIE")
        alpha.outlet("CHARLIE").append(4, b"for CHARLIE")
        alpha.outlet("BRAVO").put("tile.1", b"for BRAVO")
        alpha.outlet("BRAVO").append(4, b"for BRAVO")
        alpha.outlet("BRAVO").publish("plots", b"for BRAVO")
        await asyncio.sleep(QUIET)
    remote = [m for m in heard if not m.subject.startswith(("$JS.", "$SYS", "_LOCAL", "$JSC"))]
    given = {"ALPHA.live.plots", "ALPHA.beacon", "ALPHA.last.tile.1", "ALPHA.journal"}
    assert {m.subject for m in remote} == given
    assert not [m for m in heard if b"CHARLIE" in m.data or b"unreleased" in m.data]
    assert not [m for m in heard if "write-" in m.subject or b"write-" in m.data]
    for client in (bravo, own):
        await client.close()


async def test_a_partner_writes_nothing_into_the_streams_that_it_reads(hostile: Federation):
    bravo = await connect(hostile, "BRAVO", "inlet/ALPHA")
    own = await connect(hostile, "ALPHA", "outlet/BRAVO")
    before = await streams(own)
    async with listening(own) as heard:
        for subject in (
            "ALPHA.journal",
            "ALPHA.last.tile.0",
            "ALPHA.live.plots",
            "$JS.M.0",
            "ALPHA.beacon",
            "BRAVO.live.plots",
            "BRAVO.journal",
            "write-0.journal",
            "_LOCAL.0.0",
            "$JS.FC.VALUES.OTHER.0",
        ):
            await bravo.publish(subject, b"forged")
        await bravo.publish("ALPHA.back.ack", b"allowed")
        await asyncio.sleep(QUIET)
    assert await streams(own) == before
    assert not [m for m in heard if m.data == b"forged" and not m.subject.startswith("$JS.FC.")]
    assert [m.subject for m in heard if m.data == b"allowed"] == ["ALPHA.back.ack"]
    for client in (bravo, own):
        await client.close()


async def test_no_stream_interface_answers_a_partner_that_reads(hostile: Federation):
    bravo = await connect(hostile, "BRAVO", "inlet/ALPHA")
    own = await connect(hostile, "ALPHA", "outlet/BRAVO")
    before = await streams(own)
    # Making a consumer is what a mirror does; what is done with it is the matter of the next test.
    assert set(await answered(bravo, "$JS.ALPHA.API")) <= {
        "CONSUMER.CREATE.JOURNAL",
        "CONSUMER.CREATE.JOURNAL.LOOT",
    }
    assert await streams(own) == before
    for client in (bravo, own):
        await client.close()


async def test_no_consumer_of_a_partner_delivers_into_a_stream_or_the_stream_interface(hostile: Federation):
    bravo = await connect(hostile, "BRAVO", "inlet/ALPHA")
    own = await connect(hostile, "ALPHA", "outlet/BRAVO")
    before = await streams(own)
    interface = [f"{prefix}.API.{name}" for prefix in ("$JS", "$JS.ALPHA") for name in API_CALLS]
    subjects = ["ALPHA.journal", "ALPHA.last.tile.0", "write-0.journal", "CHARLIE.live.plots", *interface]
    made = 0
    for n, subject in enumerate(subjects):
        for stream in ("JOURNAL", "VALUES"):
            made += await makes_consumer(bravo, stream, f"loot-{n}", subject, headers_only=n % 2 == 0)
            made += await makes_consumer(bravo, stream, f"lost-{n}", subject, headers_only=n % 2 == 1)
    assert made > 0
    await asyncio.sleep(QUIET)
    assert await streams(own) == before
    for client in (bravo, own):
        await client.close()


async def makes_consumer(client: Client, stream: str, name: str, subject: str, headers_only: bool) -> bool:
    """Whether a consumer of a partner's stream could be made; it ends when nobody hears it."""
    config = {"name": name, "deliver_subject": subject, "deliver_policy": "all", "ack_policy": "none"}
    more = {"replay_policy": "instant", "headers_only": headers_only, "inactive_threshold": 100_000_000}
    request = json.dumps({"stream_name": stream, "config": config | more}).encode()
    answer = await client.request(f"$JS.ALPHA.API.CONSUMER.CREATE.{stream}.{name}", request, timeout=QUIET)
    return "error" not in json.loads(answer.data)


async def test_an_answer_can_not_be_led_into_a_stream_or_the_stream_interface(hostile: Federation):
    bravo = await connect(hostile, "BRAVO", "inlet/ALPHA")
    own = await connect(hostile, "ALPHA", "outlet/BRAVO")
    before = await streams(own)
    for reply in (
        "ALPHA.journal",
        "ALPHA.last.tile.0",
        "$JS.API.STREAM.DELETE.JOURNAL",
        "$JS.API.STREAM.PURGE.VALUES",
        "$JS.API.STREAM.CREATE.LOOT",
        "$JS.ALPHA.API.STREAM.PURGE.VALUES",
    ):
        for request in (b"", b"{}", b"not json"):
            await bravo.publish("$JS.ALPHA.API.CONSUMER.CREATE.VALUES", request, reply=reply)
            await bravo.publish("$JS.ALPHA.API.CONSUMER.CREATE.JOURNAL.LOOT", request, reply=reply)
    await asyncio.sleep(QUIET)
    assert await streams(own) == before
    assert hostile.engines["ALPHA"].outlet("BRAVO").stored == 3
    for client in (bravo, own):
        await client.close()


async def test_an_owner_reaches_nothing_of_its_reader_but_what_it_gives(hostile: Federation):
    alpha = hostile.engines["ALPHA"]
    from_bravo, from_charlie = alpha.inlet("BRAVO"), alpha.inlet("CHARLIE")
    hostile.engines["BRAVO"].outlet("ALPHA").append(1, b"Bravo's own")
    hostile.engines["CHARLIE"].outlet("ALPHA").append(1, b"Charlie's own")
    read_records(hostile, from_bravo, 1)
    read_records(hostile, from_charlie, 1)
    bravo = await connect(hostile, "BRAVO", "outlet/ALPHA")
    clients = {
        user: await connect(hostile, "ALPHA", user)
        for user in ("inlet/BRAVO", "inlet/CHARLIE", "outlet/BRAVO", "outlet/CHARLIE")
    }
    before = {user: await streams(client) for user, client in clients.items()}
    for subject in (
        "ALPHA.journal",
        "ALPHA.last.tile.0",
        "ALPHA.live.plots",
        "CHARLIE.live.plots",
        "CHARLIE.journal",
        "CHARLIE.beacon",
        "_LOCAL.0.0",
        "$JS.API.STREAM.DELETE.JOURNAL_MIRROR",
        "$JS.ALPHA.API.STREAM.DELETE.JOURNAL_MIRROR",
        "$JS.ALPHA.API.STREAM.PURGE.VALUES_MIRROR",
    ):
        await bravo.publish(subject, b"")
        await bravo.publish(subject, b"forged")
    assert await answered(bravo, "$JS.ALPHA.API") == []
    assert {user: await streams(client) for user, client in clients.items()} == before
    assert from_charlie.take() == from_charlie.take_records() == []
    assert not [m for m in from_bravo.take() if m.payload == b"forged"]
    for client in (bravo, *clients.values()):
        await client.close()


async def test_an_owner_overhears_only_what_its_reader_says_to_it(hostile: Federation):
    alpha = hostile.engines["ALPHA"]
    from_bravo = alpha.inlet("BRAVO")
    hostile.engines["BRAVO"].outlet("ALPHA").put("hello", b"from Bravo")
    bravo = await connect(hostile, "BRAVO", "outlet/ALPHA")
    async with listening(bravo) as heard:
        hostile.until(lambda: bool(from_bravo.take()))  # so that the link carries
        from_bravo.reply("ack", b"1")
        alpha.outlet("BRAVO").put("tile.2", b"not here")
        own = await connect(hostile, "ALPHA", "inlet/BRAVO")
        await own.jetstream().streams_info()
        await asyncio.sleep(QUIET)
    ours = ("BRAVO.", "$JS.ACK", "$JS.EVENT", "$JS.API", "write-", "_LOCAL", "_INBOX")
    from_alpha = {m.subject for m in heard if not m.subject.startswith(ours)}
    allowed = re.compile(r"\$JS\.BRAVO\.API\.CONSUMER\.CREATE\..*|\$JS\.FC\..*|\$JSC\.R\..*|\$JS\.M\..*")
    assert all(allowed.fullmatch(subject) for subject in from_alpha)
    assert "BRAVO.back.ack" in {m.subject for m in heard}
    assert not [m for m in heard if "ALPHA." in m.subject and not m.subject.startswith("$JS.")]
    for client in (bravo, own):
        await client.close()


async def test_nothing_passes_through_a_centre_from_one_partner_to_another(hostile: Federation):
    heard_by: dict[str, list[Msg]] = {}
    bravo = await connect(hostile, "BRAVO", "outlet/ALPHA")
    charlie = await connect(hostile, "CHARLIE", "outlet/ALPHA")
    own = await connect(hostile, "CHARLIE", "outlet/BRAVO")
    for user, client in (("outlet/ALPHA", charlie), ("outlet/BRAVO", own)):
        async with listening(client) as heard:
            heard_by[user] = heard
    for subject in ("BRAVO.live.plots", "ALPHA.live.plots", "CHARLIE.live.plots", "CHARLIE.back.ack", "loot"):
        await bravo.publish(subject, b"passed on")
    await asyncio.sleep(QUIET)
    assert not [m for heard in heard_by.values() for m in heard if m.data == b"passed on"]
    for client in (bravo, charlie, own):
        await client.close()


def forged_certificate(
    name: str, signer: tuple[str, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[bytes, bytes]:
    """A certificate with another centre's name and a key of one's own, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signing = signer or (name, key)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ip_address("127.0.0.1")), x509.RFC822Name("CN=BRAVO")]
            ),
            critical=False,
        )
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def key_of(federation: Federation, name: str) -> ec.EllipticCurvePrivateKey:
    _, path = federation.stores[name].own_files(time.time())
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


FORGERIES = ("own key", "signed by Charlie", "signed by Charlie, with Charlie's certificate", "Charlie's own")


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_third_partner_is_not_taken_for_the_second(
    nats_federation: Callable[..., Federation], tmp_path: Path, forgery: str
):
    """Bravo is away; Charlie dials as Bravo, and stands where Alpha dials Bravo."""
    federation = nats_federation("ALPHA", "BRAVO", "CHARLIE")
    own_certificate, own_key = federation.stores["CHARLIE"].own_files(time.time())
    if forgery == "Charlie's own":
        certificate, key = own_certificate.read_bytes(), own_key.read_bytes()
    else:
        signer = ("CHARLIE", key_of(federation, "CHARLIE")) if "signed" in forgery else None
        certificate, key = forged_certificate("BRAVO", signer)
        if "with" in forgery:
            certificate += own_certificate.read_bytes()
    (tmp_path / "forged.pem").write_bytes(certificate)
    (tmp_path / "forged.key").write_bytes(key)
    listen = free_port()
    posing = NatsServer(
        replace(
            federation.config("BRAVO"),
            folder=tmp_path / "posing",
            link_listen=f"127.0.0.1:{listen}",
            certificate=tmp_path / "forged.pem",
            key=tmp_path / "forged.key",
        )
    )
    federation.proxies["BRAVO", "ALPHA"].target = listen
    to_alpha, to_posing = federation.proxies["ALPHA", "BRAVO"], federation.proxies["BRAVO", "ALPHA"]
    alpha, charlie = federation.servers["ALPHA"], federation.servers["CHARLIE"]
    alpha.start()
    charlie.start()
    posing.start()
    try:
        # Under its own name Charlie is let in at once, to what is Charlie's.
        tries = 1 if forgery == "Charlie's own" else 3
        federation.until(lambda: to_alpha.accepted >= tries and to_posing.accepted >= 3)
        federation.until(lambda: "CHARLIE" in alpha.links() and alpha.links()["CHARLIE"].it_reads)
        state = alpha.links()["BRAVO"]
        assert not state.we_read and not state.it_reads
    finally:
        posing.stop()


def test_records_reach_a_reader_unchanged_whatever_another_partner_tries(hostile: Federation):
    inlet = hostile.engines["CHARLIE"].inlet("ALPHA")
    came = read_records(hostile, inlet, 3)
    assert came == [StoredRecord(n, f"record {n} for CHARLIE".encode()) for n in (1, 2, 3)]
