"""The configuration of a centre's NATS server as text: accounts, links and allow-lists for its partners.

For each partner there are two accounts and two links. The owner of the data accepts the link on which
its partner reads, so that what may be read stands as an allow-list in the owner's own configuration;
the reader dials. `OUT_x` holds what we give partner x, `IN_x` what x gives us. Nothing passes from one
account to another, so nothing can be forwarded from one partner to the next.
"""

import json
from dataclasses import dataclass
from pathlib import Path

PAYLOAD_MAX = 8 << 20  # bytes of one message
PENDING_MAX = 64 << 20  # bytes that wait for one slow connection before the server drops it

# Names of streams, the same in each account, since accounts are separate worlds.
VALUES, JOURNAL = "VALUES", "JOURNAL"
# The server sets aside for each stream, ours and the mirror of theirs, what it may hold at most, and refuses
# one for which there is nothing left. It takes nothing of it before it is needed.
PARTNERS_MAX = 64
VALUES_BYTES = 64 << 20  # of one partner's last values; a picture of 100,000 tracks has 15 million
JOURNAL_BYTES = 4 << 30  # of one partner's journal; full is an error, not a loss
CONSUMERS_MAX = 16  # of one stream; a mirror needs one, and makes another when it was cut off
VALUES_MIRROR, JOURNAL_MIRROR = "VALUES_MIRROR", "JOURNAL_MIRROR"
STORE_FOLDER = "jetstream"  # of what the server stores, in its folder
LOCAL_INBOX = "_LOCAL"  # prefix of our own clients' inboxes, which no link carries


@dataclass(frozen=True, slots=True)
class LinkPartner:
    """One partner as the server's configuration needs it."""

    name: str  # its certificate's common name, and its JetStream domain
    address: str  # host:port where it accepts our link
    certificates: Path  # PEM file of its certificates that hold now


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """All that the configuration of one centre's server says."""

    centre: str  # own name, and own JetStream domain
    folder: Path  # of the server's data
    link_listen: str  # host:port where partners dial in
    certificate: Path  # PEM, own link certificate
    key: Path  # PEM, its private key
    accepted: Path  # PEM file of all partners' certificates
    partners: tuple[LinkPartner, ...]


@dataclass(frozen=True, slots=True)
class LocalAccess:
    """How the centre itself reaches its server, on loopback."""

    client_port: int
    monitor_port: int | None  # of its status pages; None for none
    password: str  # of the centre's own clients


def live_subject(owner: str) -> str:
    """Below it stands what an owner sends at most once."""
    return f"{owner}.live"


def last_subject(owner: str) -> str:
    """Below it stand an owner's last values, as they are stored."""
    return f"{owner}.last"


def journal_subject(owner: str) -> str:
    """An owner's journal, as it is stored."""
    return f"{owner}.journal"


def beacon_subject(owner: str) -> str:
    """Where an owner's engine says, once a second, that the link carries."""
    return f"{owner}.beacon"


def back_subject(owner: str) -> str:
    """Below it stands what a partner sends back to an owner."""
    return f"{owner}.back"


def outlet_user(partner: str) -> str:
    """User name of our client in a partner's `OUT_` account.

    The slash keeps it apart from every host name and common name, so that no certificate can map to it.
    """
    return f"outlet/{partner}"


def inlet_user(partner: str) -> str:
    """User name of our client in a partner's `IN_` account."""
    return f"inlet/{partner}"


def outlet_account(partner: str) -> str:
    """The account that holds what we give a partner."""
    return f"OUT_{partner}"


def inlet_account(partner: str) -> str:
    """The account that holds what a partner gives us."""
    return f"IN_{partner}"


def server_config(config: ServerConfig, local: LocalAccess) -> str:
    """The text of the configuration file."""
    accounts = "\n".join(
        _outlet_account(config, partner, local) + _inlet_account(partner, local)
        for partner in config.partners
    )
    q = json.dumps  # a JSON string is a string of this format too
    return f"""\
server_name: {q(config.centre)}
listen: "127.0.0.1:{local.client_port}"
{f'http: "127.0.0.1:{local.monitor_port}"' if local.monitor_port is not None else ""}
max_payload: {PAYLOAD_MAX}
max_pending: {PENDING_MAX}
ping_interval: "2s"
ping_max: 2
write_deadline: "3s"
jetstream {{
  store_dir: {q(str(config.folder / STORE_FOLDER))}
  domain: {q(config.centre)}
  max_memory_store: {2 * PARTNERS_MAX * VALUES_BYTES}
  max_file_store: {2 * PARTNERS_MAX * JOURNAL_BYTES}
  sync_interval: always
}}
{_links(config)}
system_account: SYS
accounts {{
  SYS {{ users: [ {{ user: "system/", password: {q(local.password)} }} ] }}
{accounts}
}}
"""


def _links(config: ServerConfig) -> str:
    """The links that we accept and those that we dial; nothing as long as there is no partner."""
    if not config.partners:
        return ""
    q = json.dumps
    remotes = "\n".join(_remote(config, partner) for partner in config.partners)
    return f"""\
leafnodes {{
  listen: {q(config.link_listen)}
  reconnect: "1s"
  no_advertise: true  # partners dial the address in our partner file and no other
  compression: off
  tls {{
    cert_file: {q(str(config.certificate))}
    key_file: {q(str(config.key))}
    ca_file: {q(str(config.accepted))}
    verify_and_map: true
    handshake_first: true
  }}
  remotes: [
{remotes}
  ]
}}"""


def _remote(config: ServerConfig, partner: LinkPartner) -> str:
    """The link that we dial: it reads what the partner gives us.

    The partner's own allow-list says what we may read; the deny lists here keep a partner that has
    removed its limits away from our streams and from our clients' inboxes.
    """
    q = json.dumps
    return f"""\
    {{
      urls: [{q("tls://" + partner.address)}]
      account: {q(inlet_account(partner.name))}
      ignore_discovered_servers: true
      compression: off
      tls {{
        cert_file: {q(str(config.certificate))}
        key_file: {q(str(config.key))}
        ca_file: {q(str(partner.certificates))}
        handshake_first: true
      }}
      deny_imports: ["$JS.{config.centre}.>", "$JS.API.>", "$SYS.>", "{LOCAL_INBOX}.>"]
      deny_exports: ["$JS.{config.centre}.>", "$JS.API.>", "$JS.EVENT.>", "$SYS.>", "{LOCAL_INBOX}.>"]
    }}"""


def _outlet_account(config: ServerConfig, partner: LinkPartner, local: LocalAccess) -> str:
    """What we give one partner, and all that the partner may do there.

    Its server mirrors our streams, and for that makes consumers, which may deliver to any subject of the
    account that it can name. What listens here must therefore be harmless, or have a secret name, as
    the subjects have on which the streams are written (see `nats_engine`).
    """
    q = json.dumps
    owner = config.centre
    consumers = f"$JS.{owner}.API.CONSUMER.CREATE"
    link_publish = [f"{consumers}.{stream}{more}" for stream in (VALUES, JOURNAL) for more in ("", ".>")]
    link_publish += ["$JS.FC.>", f"{back_subject(owner)}.>"]
    link_subscribe = [f"{live_subject(owner)}.>", beacon_subject(owner), "$JS.M.>", "$JSC.R.>"]
    return f"""\
  {q(outlet_account(partner.name))} {{
    jetstream {{ max_streams: 2, max_consumers: {2 * CONSUMERS_MAX} }}
    users: [
      {{ user: {q(outlet_user(partner.name))}, password: {q(local.password)} }}
      {{ user: {q("CN=" + partner.name)}, permissions: {{
        publish: {{ allow: {q(link_publish)} }}
        subscribe: {{ allow: {q(link_subscribe)} }}
      }} }}
    ]
  }}
"""


def _inlet_account(partner: LinkPartner, local: LocalAccess) -> str:
    """What one partner gives us; our own client may read there and answer, not write."""
    q = json.dumps
    owner = partner.name
    publish = ["$JS.API.>", "$JS.FC.>", f"{back_subject(owner)}.>"]
    subscribe = [f"{live_subject(owner)}.>", beacon_subject(owner), f"{LOCAL_INBOX}.>"]
    return f"""\
  {q(inlet_account(owner))} {{
    jetstream {{ max_streams: 2, max_consumers: 16 }}
    users: [
      {{ user: {q(inlet_user(owner))}, password: {q(local.password)}, permissions: {{
        publish: {{ allow: {q(publish)} }}
        subscribe: {{ allow: {q(subscribe)} }}
      }} }}
    ]
  }}
"""
