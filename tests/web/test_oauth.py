"""Logging in, with the client that many bots use (Mastodon.py) and with a browser's steps by hand."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio
from mastodon import Mastodon
from mastodon.errors import MastodonIllegalArgumentError, MastodonUnauthorizedError
from nacl import pwhash

from banyan_web.oauth.logins import Person, make_link, set_password
from banyan_web.oauth.sessions import own_path
from banyan_web.rate_limits import ATTEMPTS_HERE
from tests.web.door import Door, as_the_product_keeps_them, open_node
from tests.web.login_page import FIELD, FORM, PASSWORD, Browser, code_on

BACK = "https://app.example/back?from=banyan"


async def _with_password(door: Door, name: str = "an") -> str:
    did, _ = await door.person(name)
    await trio.to_thread.run_sync(set_password, door.store, did, name, PASSWORD)
    return did


async def _register(door: Door, redirects: Any = BACK, scopes: str = "read write") -> dict[str, Any]:
    client = door.client()
    found: dict[str, Any] = await client.post(
        "/api/v1/apps", client_name="Tried <b>", redirect_uris=redirects, scopes=scopes
    )
    return found


def _link(app: dict[str, Any], redirect: str = BACK, **more: str) -> str:
    given = {"response_type": "code", "client_id": app["client_id"], "redirect_uri": redirect, "scope": "read", **more}
    return "/oauth/authorize?" + str(httpx.QueryParams(given))


def _body(app: dict[str, Any], code: str, **more: str) -> dict[str, str]:
    secret = {name: app[name] for name in ("client_id", "client_secret")}
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **secret, **more}


async def test_mastodon_py_registers_logs_in_and_revokes_its_token(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        did = await _with_password(door)

        def story() -> None:
            scopes = ["read", "write:statuses", "follow"]
            client_id, secret = Mastodon.create_app("A bot", scopes, api_base_url=door.url)
            api = Mastodon(client_id, secret, api_base_url=door.url, version_check_mode="none")
            api.session.headers["connection"] = "close"
            url = api.auth_request_url(scopes=scopes, state="kept", allow_http=True)
            browser = Browser(door.url)
            code = code_on(browser.send(browser.log_in(url, "an"), 200, answer="allow"))
            token = api.log_in(code=code, scopes=scopes, allow_http=True)
            assert len(token) == 43
            app = api.app_verify_credentials()
            assert (app.name, app.website, app.scopes) == ("A bot", None, scopes)
            me = api.account_verify_credentials()
            assert (me.uri, me.display_name, me.source.privacy) == (did, "an", "public")
            assert me.role.id == "-99"
            assert api.ratelimit_limit == 1_500
            assert api.instance_v2().configuration.polls.max_options == 20
            assert api.instance_v1().stats.user_count == 1
            assert api.preferences()["posting:default:visibility"] == "public"
            with pytest.raises(MastodonIllegalArgumentError):
                api.log_in(code=code, scopes=scopes, allow_http=True)
            with pytest.raises(MastodonUnauthorizedError):  # the code came a second time: its token has ended
                api.account_verify_credentials()
            again = code_on(browser.send(browser.see(url), 200, answer="allow"))
            api.log_in(code=again, scopes=scopes, allow_http=True)
            second = str(api.access_token)
            api.revoke_access_token(allow_http=True)
            late = Mastodon(access_token=second, api_base_url=door.url)
            late.session.headers["connection"] = "close"
            with pytest.raises(MastodonUnauthorizedError):
                late.account_verify_credentials()
            with pytest.raises(MastodonIllegalArgumentError):
                api.log_in("an", PASSWORD, scopes=scopes, allow_http=True)

        await trio.to_thread.run_sync(story)


async def test_a_code_is_of_one_app_one_address_and_one_proof(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await _with_password(door)
        app, other = await _register(door), await _register(door)
        assert (app["redirect_uris"], app["scopes"]) == ([BACK], ["read", "write"])
        assert len(app["vapid_key"]) == 88
        verifier = "v" * 50
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        proof = {"code_challenge": challenge, "code_challenge_method": "S256"}

        def story() -> None:
            browser = Browser(door.url)
            page = browser.log_in(_link(app, state="a&b=ß\r\nX: y", **proof), "an")
            assert "Tried &lt;b&gt;" in page.text
            assert "form-action 'self' https://app.example;" in page.headers["content-security-policy"]

            def code(**more: str) -> str:
                sent = browser.send(browser.see(_link(app, **{"state": "a&b=ß\r\nX: y", **more})), answer="allow")
                parts = urlsplit(sent.headers["location"])
                query = parse_qs(parts.query)
                assert (parts.hostname, parts.path, query["from"]) == ("app.example", "/back", ["banyan"])
                assert query["state"] == ["a&b=ß\r\nX: y"]
                assert "x" not in sent.headers
                return query["code"][0]

            def token(status: int, body: dict[str, str]) -> dict[str, Any]:
                answer = browser.http.post("/oauth/token", data=body)
                assert answer.status_code == status, answer.text
                found: dict[str, Any] = answer.json()
                return found

            given = token(200, _body(app, code(**proof), code_verifier=verifier))
            assert (given["token_type"], given["scope"]) == ("Bearer", "read")
            for wrong in (
                _body(app, code(**proof)),
                _body(app, code(**proof), code_verifier="w" * 50),
                _body(app, code(), code_verifier=verifier),
                _body(app, code(), redirect_uri="https://app.example/back"),
                _body(other, code()),
            ):
                assert token(400, wrong)["error"] == "invalid_grant"
            assert token(401, _body({**app, "client_secret": "no"}, code()))["error"] == "invalid_client"
            assert token(400, {**_body(app, ""), "grant_type": "password"})["error"] == "unsupported_grant_type"
            machine = token(200, {**_body(app, ""), "grant_type": "client_credentials", "scope": "read"})
            for path, status in (
                ("/api/v1/apps/verify_credentials", 200),
                ("/api/v1/accounts/verify_credentials", 401),
            ):
                headers = {"authorization": f"Bearer {machine['access_token']}"}
                assert browser.http.get(path, headers=headers).status_code == status
            wide = {**_body(app, ""), "grant_type": "client_credentials", "scope": "read push"}
            assert token(400, wide)["error"] == "invalid_scope"
            basic = httpx.BasicAuth(app["client_id"], app["client_secret"])
            body = {"grant_type": "authorization_code", "code": code(), "redirect_uri": BACK}
            answer = browser.http.post("/oauth/token", json=body, auth=basic)
            assert answer.status_code == 200
            theirs = {"token": answer.json()["access_token"], **{k: other[k] for k in ("client_id", "client_secret")}}
            assert browser.http.post("/oauth/revoke", data=theirs).status_code == 403
            assert browser.http.post("/oauth/revoke", data={**theirs, "token": "none"}).json() == {}

        await trio.to_thread.run_sync(story)


async def test_a_person_sees_which_apps_may_act_and_takes_that_back(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        did = await _with_password(door)
        other, _ = await door.person("binh")
        mine, theirs = (door.store.mint(of, "<i>tool", ("read",)) for of in (did, other))
        gone, kept = door.store.token(mine), door.store.token(theirs)
        assert gone is not None
        assert kept is not None

        def story() -> None:
            browser = Browser(door.url)
            page = browser.send(browser.see("/login"), name="an", password=PASSWORD)
            page = browser.see(page.headers["location"])
            assert "&lt;i&gt;tool" in page.text
            assert (gone.id in page.text, kept.id in page.text) == (True, False)
            browser.send(page, form=1, id=kept.id)
            assert door.store.token(theirs) == kept
            browser.send(page, form=1, id=gone.id)
            assert door.store.token(mine) is None
            assert gone.id not in browser.see("/login").text

        await trio.to_thread.run_sync(story)


async def test_nobody_is_sent_to_an_address_that_was_not_registered(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await _with_password(door)
        app, client = await _register(door, [BACK, "tool://back"], "read"), door.client()
        bad = ("javascript:alert(1)", "//x.example", "/back", "https://", "https://a.example/#f", "data:text/html,x",
               "https://me@x.example/", "https://a.example\\@b.example/", "https://é.example/",
               "http://x:y/", "x" * 3_000)  # fmt: skip
        for uri in bad:
            assert "error" in await client.post("/api/v1/apps", 422, client_name="x", redirect_uris=uri), uri
        for given in ({}, {"client_name": "x"}, {"client_name": [], "redirect_uris": BACK},
                      {"client_name": "x", "redirect_uris": BACK, "scopes": "read admin"},
                      {"client_name": "x", "redirect_uris": BACK, "website": "javascript:alert(1)"}):  # fmt: skip
            await client.post("/api/v1/apps", 422, **given)

        def story() -> None:
            browser = Browser(door.url)
            page = browser.log_in(_link(app, "tool://back"), "an")
            assert "form-action 'self' tool:;" in page.headers["content-security-policy"]
            for redirect in ("https://app.example/back", BACK + "&x=1", BACK + "#", "tool://back/", ""):
                assert "location" not in browser.see(_link(app, redirect), 400).headers
            browser.see(_link({"client_id": "no"}), 400)
            for more, error in (
                ({"response_type": "token"}, "unsupported_response_type"),
                ({"scope": "read write"}, "invalid_scope"),
                ({"scope": "admin"}, "invalid_scope"),
                ({"code_challenge": "x" * 43}, "invalid_request"),
                ({"code_challenge": "x" * 43, "code_challenge_method": "plain"}, "invalid_request"),
            ):
                sent = browser.see(_link(app, **more, state="s"), 303).headers["location"]
                assert sent.startswith(BACK + "&error=")
                assert parse_qs(urlsplit(sent).query)["error"] == [error]
                assert sent.endswith("&state=s")
            refused = browser.send(browser.see(_link(app)), answer="refuse")
            assert "error=access_denied" in refused.headers["location"]
            forced = browser.see(_link(app, force_login="true"), 303).headers["location"]
            assert forced.startswith("/login?next=")
            assert "force_login" not in forced

        await trio.to_thread.run_sync(story)


async def test_a_form_of_another_site_does_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await _with_password(door)
        app = await _register(door)

        def story() -> None:
            browser = Browser(door.url)
            first = browser.see("/login")
            cookie = first.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            before = browser.http.cookies["banyan"]
            csrf = dict(FIELD.findall(first.text))["csrf"]
            typed = {"name": "an", "password": PASSWORD}
            for wrong in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": ["x"]}):
                assert browser.http.post("/login", json={**typed, **wrong}).status_code == 403
            assert Browser(door.url).http.post("/login", data={**typed, "csrf": csrf}).status_code == 403
            page = browser.log_in(_link(app), "an")
            assert browser.http.cookies["banyan"] != before
            assert browser.http.post("/oauth/authorize", data={"answer": "allow"}).status_code == 403
            inside = dict(FIELD.findall(page.text))
            assert inside["csrf"] != csrf
            assert browser.http.post("/logout", data={"csrf": csrf}).status_code == 403
            assert browser.http.post("/logout", data={"csrf": inside["csrf"]}).status_code == 303
            browser.see(_link(app), 303)

        await trio.to_thread.run_sync(story)


@pytest.mark.parametrize(
    "path", ["//x.example", "/\\x.example", "https://x.example", "x", "", "/a\r\nb", "/é", None, 3]
)
def test_the_login_page_leads_nowhere_else(path: Any) -> None:
    assert own_path(path) == "/login"
    assert own_path("/oauth/authorize?a=1&b=https://x.example") == "/oauth/authorize?a=1&b=https://x.example"


def test_a_guess_at_a_password_takes_64_mib_twice_over() -> None:
    kept = as_the_product_keeps_them(PASSWORD.encode())
    assert kept.startswith(b"$argon2id$v=19$m=65536,t=2,p=1$")
    assert pwhash.verify(kept, PASSWORD.encode())


async def test_passwords_cannot_be_tried_for_long(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        await _with_password(door)

        def tries(address: str, name: str, passwords: Iterable[str]) -> list[int]:
            browser = Browser(door.url)
            browser.http.headers["x-forwarded-for"] = f"192.0.2.9, {address}"
            found = []
            for password in passwords:
                page = browser.see("/login?next=/")
                fields = {"csrf": dict(FIELD.findall(page.text))["csrf"], "name": name, "password": password}
                found.append(browser.http.post("/login", data=fields).status_code)
            return found

        def story() -> None:
            assert tries("198.51.100.1", "an", ["wrong"] * ATTEMPTS_HERE) == [401] * ATTEMPTS_HERE
            assert tries("198.51.100.1", "an", [PASSWORD]) == [429]
            assert tries("198.51.100.2", "an", [PASSWORD]) == [303]
            assert tries("198.51.100.1", "nobody", [PASSWORD]) == [401]

        await trio.to_thread.run_sync(story)


async def test_a_person_changes_the_password_and_other_browsers_are_logged_out(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        did, _ = await door.person("an")

        def story() -> None:
            browser, other = Browser(door.url), Browser(door.url)
            browser.send(browser.see("/login/link/" + make_link(door.store, Person(did, "an"))))
            mine = browser.see("/login")
            form = len(FORM.findall(mine.text)) - 1
            assert 'name="old"' not in mine.text  # there is none yet
            browser.send(mine, 422, form, password="short")
            browser.send(mine, form=form, password=PASSWORD)
            other.send(other.see("/login"), name="an", password=PASSWORD)
            mine = browser.see("/login")
            browser.send(mine, 401, form, old="wrong", password="ein langes Passwort")
            assert "You are logged in as an." in other.see("/login").text
            browser.send(mine, form=form, old=PASSWORD, password="ein langes Passwort")
            assert "You are logged in as an." in browser.see("/login").text
            assert "You are logged in as an." not in other.see("/login").text
            other.send(other.see("/login"), 401, name="an", password=PASSWORD)

        await trio.to_thread.run_sync(story)


async def test_a_link_logs_in_once_and_only_by_its_button(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        did, _ = await door.person("an")

        def story() -> None:
            path = "/login/link/" + make_link(door.store, Person(did, "an"))
            for _ in range(2):  # a program that looks at the link does not use it up
                Browser(door.url).see(path)
            browser = Browser(door.url)
            browser.send(browser.see(path))
            assert "You are logged in as an." in browser.see("/login").text
            browser.see(path, 404)
            vi = browser.http.get("/login", headers={"accept-language": "vi-VN,vi;q=0.9"})
            assert "Bạn đã đăng nhập" in vi.text

        await trio.to_thread.run_sync(story)
