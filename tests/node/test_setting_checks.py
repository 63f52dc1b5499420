"""A value that no node could start with is refused when it is set, in the words of the start, and leaves no trace."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from banyan_node.home.config import Config
from banyan_node.home.folder import Home
from banyan_node.home.settings import OPTIONS, lacks, load, parse, set_in_file
from banyan_node.home.values import TEXT_BYTES
from banyan_node.operator_errors import ConfigError, ControlError
from banyan_node.server.http_server import Bind
from banyan_web.endpoint import ServerRules

PEER = "12D3KooWRz4a5s6qtKaQ9gKcbMBB8izLxreriD8SRnFwiBXxi1Qn"
HOST = "is no address to listen at: give HOST:PORT or unix:PATH"
URL = "is no address of a server: give http:// or https:// and its name"
LISTEN, DIAL, TELL = (f"is no address {what}" for what in ("to listen at", "to dial", "that peers can dial"))
OWN = "is a file of the node itself: choose another name"
SILLY = (
    ("http.address", "99999", HOST),
    ("http.address", "localhost", HOST),
    ("http.address", "localhost:", HOST),
    ("http.address", ":80", HOST),
    ("http.address", "127.0.0.1:65536", HOST),
    ("http.address", "127.0.0.1:٣", HOST),
    ("http.address", "127.0.0.1:²", HOST),
    ("http.address", "256.0.0.1:80", HOST),
    ("http.address", "[::1:80", HOST),
    ("http.address", "[localhost]:80", HOST),
    ("http.address", "http://localhost:80", HOST),
    ("http.address", "unix:door.sock", "needs the whole path, such as unix:/run/banyan"),
    ("http.address", "unix:", "needs the whole path"),
    ("http.address", "unix:/" + "x" * 107, "is no path for a socket: give one of at most 107 bytes"),
    ("http.address", "unix:/etc", "is there and no socket: move it away, or choose another path"),
    ("http.url", "ftp://x", URL),
    ("http.url", "social.example.org", URL),
    ("http.url", "https://", URL),
    ("http.url", "https://social.example.org/", URL),
    ("http.url", "https://a@social.example.org", URL),
    ("http.url", "https://social.example.org:99999", URL),
    ("http.url", "https://a b", URL),
    ("http.url", "https://xã.vn", "has letters that the DNS does not have"),
    ("http.domain", "a b", "is no domain: give a name such as social.example.org"),
    ("http.domain", "https://a.example", "is no domain"),
    ("http.email", "nobody", "is no address of mail: give one such as me@example.org"),
    ("http.terms", "/etc", "is a folder: name a file with plain text"),
    ("http.terms", "/dev/zero", "is no ordinary file: name a file with plain text"),
    ("http.privacy", "pipe", "is no ordinary file: name a file with plain text"),
    ("http.privacy", "long", "has more than 262,144 bytes"),
    ("http.privacy", "latin", "is no plain text in UTF-8"),
    ("http.proxies", "10.0.0.0/33", "is no network: give one such as 10.0.0.0/8 or fd00::/8"),
    ("network.allow", "fd00::/129", "is no network"),
    ("network.deny", "1.2.3", "is no network"),
    ("node.listen", "/ip4/256.0.0.1/tcp/1", f"{LISTEN}: '256.0.0.1' is no address of ip4"),
    ("node.listen", "/ip4/0.0.0.0/tcp/65536", f"{LISTEN}: '65536' is no port: it is from 0 to 65535"),
    ("node.listen", "/ip4/0.0.0.0/udp/1/quic-v1", f"{LISTEN}: expected /ip4/HOST/tcp/PORT"),
    ("node.listen", "/dns4/a.example/tcp/1", f"{LISTEN}: expected /ip4/HOST/tcp/PORT"),
    ("node.listen", f"/ip4/0.0.0.0/tcp/1/p2p/{PEER}", f"{LISTEN}: expected /ip4/HOST/tcp/PORT"),
    ("node.announce", "/ip4/192.0.2.1/tcp/0", f"{TELL}: '0' is no port: it is from 1 to 65535"),
    ("node.announce", "/ip6/192.0.2.1/tcp/1", f"{TELL}: '192.0.2.1' is no address of ip6"),
    ("node.announce", "/ip4/192.0.2.1/tcp/1/p2p/12D3", f"{TELL}: '12D3' is not a peer's id"),
    ("node.bootstrap", "/ip4/127.0.0.1/tcp/1/p2p/12D3", f"{DIAL}: '12D3' is not a peer's id: give it whole"),
    ("node.bootstrap", f"/dns4/a.example/tcp/99999/p2p/{PEER}", f"{DIAL}: '99999' is no port"),
    ("control.socket", "pipe", "is there and no socket"),
    ("control.socket", "x" * 100, "is no path for a socket"),
    ("log.file", "/etc", "is a folder: name a file"),
    ("log.file", "pipe", "is a pipe: name a file"),
    ("log.file", "keys", OWN),
    ("log.file", "store/data.mdb", OWN),
    ("log.file", "Config.toml", OWN),
    ("log.file", "door.db-wal", OWN),
    ("http.terms", "text/../keys", OWN),
    ("http.privacy", "control.token", OWN),
    ("control.socket", "keys", OWN),
    ("limits.idle_seconds", "nan", "is not allowed; allowed: a number from 5 to 86400"),
    ("limits.peers", "-1", "is not allowed; allowed: a whole number from 1 to 10000"),
)
GOOD = (
    *(("http.address", text) for text in ("localhost:0", "[::1]:80", "::1:80", "a.example:443", "unix:/run/x.sock")),
    *(("http.url", text) for text in ("http://127.0.0.1:8080", "https://[::1]:1", "https://social.example.org", "")),
    *(("http.domain", text) for text in ("social.example.org", "127.0.0.1:8080")),
    *(("http.terms", text) for text in ("text", "not-there-yet", "no/such/folder")),
    ("node.announce", f"/dns4/a.example/tcp/443,/ip4/192.0.2.1/tcp/1/p2p/{PEER}"),
    ("node.listen", "/ip6/::/tcp/0,/ip4/0.0.0.0/tcp/4001"),
    ("log.file", "/dev/null"),
    ("control.socket", "left.sock"),
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With files that are no text, and one that is."""
    home = Home(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left.sock"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b"x" * (TEXT_BYTES + 1))
    (tmp_path / "latin").write_bytes("điều".encode("utf-16"))
    (tmp_path / "text").write_bytes(b"x" * TEXT_BYTES)
    return home


def silly(name: str) -> str:
    """A value of the table; of settings that have none, one that is of no type and too long for any text."""
    return next((text for one, text, _ in SILLY if one == name), "\x01" * 501)


def refused(home: Home, name: str, text: str) -> set[str]:
    """What is said after the source, by `config set` and by a start: the value may stand in any layer."""
    said = set()
    with pytest.raises(ConfigError) as why:
        set_in_file(home.config, name, parse(name, text))
    said.add(str(why.value).partition(" sets ")[2])
    assert not home.config.exists()
    for given in ({"flags": {name: text}, "env": {}}, {"env": {OPTIONS[name].variable: text}}):
        with pytest.raises(ConfigError) as why:
            load(home, **given)
        assert "\n" not in str(why.value)
        said.add(str(why.value).partition(" sets ")[2])
    return said


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_setting_refuses_a_silly_value_when_it_is_set_as_when_it_is_read(home: Home, name: str) -> None:
    (said,) = refused(home, name, silly(name))
    assert said.startswith(name)


@pytest.mark.parametrize(("name", "text", "why"), SILLY)
def test_what_cannot_work_is_said_in_one_sentence(home: Home, name: str, text: str, why: str) -> None:
    (said,) = refused(home, name, text)
    assert said.startswith(f"{name} to {text!r}, which {why}")
    assert said.endswith(".")


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_what_can_work_is_taken_also_if_a_file_is_not_there_yet(home: Home, name: str, text: str) -> None:
    set_in_file(home.config, name, parse(name, text))
    load(home, env={})
    if name == "http.address":
        Bind.at(text)


def test_a_file_that_is_not_there_yet_is_told_of_when_it_is_set_and_refused_at_the_start(home: Home) -> None:
    for name, value, why in (
        (
            "http.terms",
            "later",
            f"{home.path / 'later'} is not there: write it before the node starts, or name another.",
        ),
        (
            "log.file",
            "logs/x",
            f"{home.path / 'logs/x'} is in a folder that is not there: make it before the node starts.",
        ),
        ("http.terms", "text", None),
        ("http.terms", "", None),
        ("log.file", "x", None),
        ("node.name", "x", None),
    ):
        assert lacks(home, name, value) == why
    http = load(home, {"http.terms": "later"}, env={}).config.http
    with pytest.raises(ConfigError, match=f"^http.terms names {home.path / 'later'}, which is not there: write it"):
        ServerRules.read(http, home.path)
    (home.path / "later").write_text("Điều 1")
    terms = ServerRules.read(http, home.path).terms
    assert terms is not None
    assert terms.text == "Điều 1"
    (home.path / "later").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="which is no plain text in UTF-8"):
        ServerRules.read(http, home.path)


def test_an_address_is_refused_in_the_same_words_where_it_is_used() -> None:
    with pytest.raises(ControlError, match=f"^'localhost' {HOST}.$"):
        Bind.at("localhost")
    assert Bind.at("[::1]:80") == ("::1", 80, "")
    assert Config().http.address == ""
