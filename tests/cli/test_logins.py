"""`banyan login` and `banyan token`: who may use the door, without a running node and beside one."""

from __future__ import annotations

import re
import time
import unicodedata
from pathlib import Path

import httpx

from banyan_cli import errors
from banyan_web.door_store import DoorStore
from banyan_web.oauth.logins import linked, who
from tests.cli.shell import banyan, node_up, process

PASSWORD = "một mật khẩu dài"


def _set(home: Path, name: str, password: str = PASSWORD) -> int:
    return process("--home", home, "login", "set", name, "--stdin", stdin=password + "\n").code


def test_a_password_is_set_listed_and_dropped(home: Path) -> None:
    lan = banyan("--home", home, "account", "create", "Lan", "--json").json["account"]
    assert banyan("--home", home, "login", "list").err.startswith("Nobody has a password yet")
    assert _set(home, "Lan") == 0
    assert _set(home, "Minh") == 0
    assert [row["name"] for row in banyan("--home", home, "login", "list", "--json").lines] == ["Lan", "Minh"]
    assert "Lan" in banyan("--home", home, "login", "list").out
    door = DoorStore(home / "door.db")
    person = who(door, "Lan", PASSWORD)
    assert person is not None
    assert person.account == lan
    assert who(door, lan, PASSWORD) == person
    assert who(door, " Lan ", unicodedata.normalize("NFD", PASSWORD)) == person
    assert who(door, "Lan", PASSWORD + "x") is None
    assert who(door, "nobody", PASSWORD) is None
    door.mint(lan, "app", ("read",))
    ran = banyan("--home", home, "login", "drop", "Lan")
    assert ran.out == "It cannot log in any more.\n"
    assert ran.err.startswith("1 token of it still work")
    assert who(door, "Lan", PASSWORD) is None
    door.close()
    assert (home / "door.db").stat().st_mode & 0o777 == 0o600
    assert PASSWORD.encode() not in (home / "door.db").read_bytes()


def test_a_bad_password_or_account_is_refused_with_what_to_do(home: Path) -> None:
    assert _set(home, "Minh", "short") == errors.USAGE
    assert _set(home, "Nobody") == errors.USAGE
    ran = process("--home", home, "login", "set", "Minh")
    assert ran.code == errors.USAGE
    assert "--stdin" in ran.err
    ran = banyan("--home", home, "token", "add", "Minh", "--scopes", "read everything")
    assert ran.code == errors.USAGE
    assert "'everything' is no scope" in ran.err
    ran = banyan("--home", home, "login", "link", "Minh")
    assert ran.code == errors.USAGE
    assert "http.url" in ran.err
    assert banyan("--home", home / "no", "token", "list").code == errors.USAGE


def test_a_link_is_for_the_address_of_the_door(home: Path) -> None:
    banyan("--home", home, "config", "set", "http.url", "https://social.example")
    url = banyan("--home", home, "login", "link", "Minh", "--json").json["url"]
    assert url.startswith("https://social.example/login/link/")
    door = DoorStore(home / "door.db")
    person = linked(door, url.rpartition("/")[2])
    door.close()
    assert person is not None
    assert person.name == "Minh"
    opened = banyan("--home", home, "token", "add", "Minh", "--json").json["token"]
    assert banyan("--home", home, "account", "close", "--yes").code == 0
    for command in (("login", "link"), ("token", "add"), ("login", "set", "--stdin")):
        ran = banyan("--home", home, *command, "Minh")
        assert (ran.code, "is closed" in ran.err) == (errors.USAGE, True), command
    door = DoorStore(home / "door.db")
    assert (linked(door, url.rpartition("/")[2]), door.token(opened)) == (None, None)
    door.close()


def test_a_link_is_for_where_the_running_node_serves_the_door(home: Path) -> None:
    with node_up(home, "--http", "127.0.0.1:0", "--log-level", "info"):
        url = banyan("--home", home, "login", "link", "Minh", "--json").json["url"]
        assert url.startswith(f"http://127.0.0.1:{_port(home)}/login/link/")
        assert httpx.get(url).status_code == 200
    ran = banyan("--home", home, "login", "link", "Minh")
    assert (ran.code, "http.url" in ran.err) == (errors.USAGE, True), "it is shut again"


def test_a_token_works_at_a_running_node_until_it_is_revoked(home: Path) -> None:
    with node_up(home, "--http", "127.0.0.1:0", "--log-level", "info"):
        ran = banyan("--home", home, "token", "add", "Minh", "--scopes", "read host", "--days", "9", "--json")
        made = ran.json
        assert (made["scopes"], made["expires"] - made["created"]) == (["read", "host"], 9 * 86_400)
        shown = banyan("--home", home, "token", "list", "--json").lines
        assert [row["id"] for row in shown] == [made["id"]]
        assert made["token"] not in str(shown)
        url = f"http://127.0.0.1:{_port(home)}/api/v1/accounts/verify_credentials"
        headers = {"authorization": f"Bearer {made['token']}"}
        assert httpx.get(url, headers=headers).json()["uri"] == made["account"]
        assert banyan("--home", home, "token", "revoke", made["id"][:6]).code == 0
        assert httpx.get(url, headers=headers).status_code == 401
        assert banyan("--home", home, "token", "list").err == "No token is valid.\n"
        assert banyan("--home", home, "token", "revoke", made["id"]).code == errors.USAGE


def _port(home: Path) -> str:
    """From the node's log: the door opens after the control API."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        said = re.search(r"127\.0\.0\.1 port (\d+).*door open|door open.*127\.0\.0\.1 port (\d+)", _log(home))
        if said:
            return said[1] or said[2]
        time.sleep(0.05)
    raise AssertionError(_log(home)[-1_000:])


def _log(home: Path) -> str:
    return home.with_suffix(".log").read_text("utf-8")
