"""Handles as apps use them: claimed, confirmed, given to another account, and what a liar reaches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from banyan_node.local import open_local
from tests.node.real import load_settings, make_home
from tests.node.test_groups import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    home = make_home(tmp_path)
    with open_local(home, load_settings(home)) as backend:
        backend.call("account.create", name="Lotus")
        for name in ("lan", "minh", "liar"):
            backend.call("account.create", name=name, hosted=True)
        yield App(backend)


def found(app: App, handle: str = "lan@vn.example") -> list[tuple[str, list[str]]]:
    rows = app("handle.find", handle=handle)["accounts"]
    return [(row["name"], [one["name"] for one in row["platforms"]]) for row in rows]


def shown(app: App, account: str) -> Any:
    handle = app("profile.get", account=account)["handle"]
    return handle and (handle["handle"], [one["name"] for one in handle["platforms"]])


def test_a_handle_is_claimed_by_its_account_and_confirmed_by_the_platform(app: App) -> None:
    assert app("handle.claim", handle=" @Lan@VN.example ", by="lan")["handle"]["platforms"] == []
    app("handle.claim", handle="lan@vn.example", by="liar")
    assert shown(app, "lan") == ("lan@vn.example", [])
    app.refused(
        "is the platform of no domain, not of vn.example", "handle.confirm", handle="lan@vn.example", account="lan"
    )
    app("handle.domain", domain="vn.example")
    assert app("handle.confirm", handle="lan@vn.example", account="lan")["claimed"]
    assert shown(app, "lan") == ("lan@vn.example", ["Lotus"])
    assert found(app) == [("lan", ["Lotus"]), ("liar", [])], "two claim it: the platform decides"
    entry = app("handle.confirm", handle="lan@vn.example", account="lan")["entry"]
    assert app("handle.confirm", handle="lan@vn.example", account="lan")["entry"] == entry
    assert not app("handle.confirm", handle="lan@vn.example", account="minh")["claimed"]
    assert shown(app, "lan") == ("lan@vn.example", []), "it was given to another account"
    app("handle.claim", handle="lan@vn.example", by="minh")
    assert shown(app, "minh") == ("lan@vn.example", ["Lotus"])
    app.refused(
        "was not confirmed as lan@vn.example", "handle.confirm", handle="lan@vn.example", account="lan", undo=True
    )
    app("handle.confirm", handle="lan@vn.example", account="minh", undo=True)
    app("handle.claim", undo=True, by="lan")
    assert shown(app, "lan") is None
    assert found(app) == [("liar", []), ("minh", [])] or found(app) == [("minh", []), ("liar", [])]


def test_a_platform_of_another_domain_confirms_nothing_and_one_of_the_same_is_shown_by_name(app: App) -> None:
    app("handle.domain", domain="vn.example")
    app("handle.claim", handle="lan@vn.example", by="lan")
    app("handle.confirm", handle="lan@vn.example", account="lan")
    app("handle.domain", domain="hue.example")
    assert shown(app, "lan") == ("lan@vn.example", []), "the platform claims another domain now"
    app("handle.domain", domain="vn.example")
    app("handle.domain", domain="vn.example", by="liar")
    app("handle.claim", handle="lan@vn.example", by="minh")
    app("handle.confirm", handle="lan@vn.example", account="minh", by="liar")
    assert dict(found(app)) == {"lan": ["Lotus"], "minh": ["liar"]}, "DNS says who is right"


@pytest.mark.parametrize(
    ("method", "given", "says"),
    [
        ("handle.claim", {"handle": "lan"}, "'lan' is no handle; it is a name of a-z"),
        ("handle.claim", {}, "'' is no handle"),
        ("handle.find", {"handle": "a@b"}, "'a@b' is no handle"),
        ("handle.domain", {"domain": "vn"}, "'vn' is no domain; write, for example, vn.example"),
        ("handle.domain", {}, "'' is no domain"),
    ],
)
def test_what_is_no_handle_is_refused_in_a_sentence(app: App, method: str, given: dict[str, str], says: str) -> None:
    app.refused(says, method, **given)
