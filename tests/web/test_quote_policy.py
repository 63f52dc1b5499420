"""Who may quote a post, in the words of Mastodon's API, and what the pages say of who may answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from banyan_web.mastodon.entity_ids import thing_id
from tests.web.door import open_node
from tests.web.test_streaming import Listening, app


async def test_who_may_quote_is_said_shown_and_changed_and_a_quote_is_revoked(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, an = await door.person("an")
        _, binh = await door.person("binh")

        async def post(by: Any, text: str, status: int = 200, **more: str) -> Any:
            answer = await by.http.post("/api/v1/statuses", json={"status": text, **more})
            assert answer.status_code == status, answer.text
            return answer.json()

        one = await post(an, "một")
        assert one["quote_approval"] == {"automatic": ["public"], "manual": [], "current_user": "automatic"}
        quoting = await post(binh, "trích", quoted_status_id=one["id"])
        assert quoting["quote"]["state"] == "accepted"
        at = f"/api/v1/statuses/{one['id']}"

        async def state() -> str:
            shown = await binh.get(f"/api/v1/statuses/{quoting['id']}")
            assert (shown["quote"]["quoted_status"] is None) == (shown["quote"]["state"] != "accepted")
            return str(shown["quote"]["state"])

        revoked = await an.post(f"{at}/quotes/{quoting['id']}/revoke")
        assert (revoked["id"], revoked["quote"]["state"], await state()) == (quoting["id"], "revoked", "revoked")
        assert (await an.get(f"{at}/quotes"), (await an.get(at))["quotes_count"]) == ([], 0)
        await binh.post(f"{at}/quotes/{quoting['id']}/revoke", 404)

        changed = await an.ask("PUT", f"{at}/interaction_policy", json={"quote_approval_policy": "followers"})
        assert changed["quote_approval"] == {"automatic": ["followers"], "manual": [], "current_user": "automatic"}
        assert (await binh.get(at))["quote_approval"]["current_user"] == "denied"
        why = await post(binh, "trích", 403, quoted_status_id=one["id"])
        assert "Only followers of its author" in why["error"]
        await binh.post(f"/api/v1/accounts/{one['account']['id']}/follow")
        assert (await binh.get(at))["quote_approval"]["current_user"] == "automatic"
        second = await post(binh, "trích nữa", quoted_status_id=one["id"])
        assert (await an.get(at))["quotes_count"] == 1
        edited = (await an.http.put(at, json={"status": "một, sửa", "quote_approval_policy": "nobody"})).json()
        assert edited["quote_approval"] == {"automatic": [], "manual": [], "current_user": "automatic"}
        assert (await binh.get(f"/api/v1/statuses/{second['id']}"))["quote"]["state"] == "unauthorized"
        await post(an, "hai", 422, quote_approval_policy="friends")
        closed = await post(an, "ba", quote_approval_policy="nobody")
        assert (await binh.get(f"/api/v1/statuses/{closed['id']}"))["quote_approval"]["current_user"] == "denied"


async def test_who_may_quote_what_somebody_posts_is_a_choice_for_posts_that_do_not_say_it(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        _, an = await door.person("an")

        async def quoters(**more: str) -> Any:
            answer = await an.http.post("/api/v1/statuses", json={"status": "một", **more})
            return answer.json()["quote_approval"]["automatic"]

        async def choose(policy: str, status: int = 200) -> Any:
            at = "/api/v1/accounts/update_credentials"
            return await an.ask("PATCH", at, status, json={"source": {"quote_policy": policy}})

        assert await quoters() == ["public"]
        assert (await choose("followers"))["source"]["quote_policy"] == "followers"
        assert (await an.get("/api/v1/preferences"))["posting:default:quote_policy"] == "followers"
        assert (await quoters(), await quoters(quote_approval_policy="public")) == (["followers"], ["public"])
        assert "one of public, followers, nobody" in (await choose("friends", 422))["error"]
        await an.ask("PATCH", "/api/v1/accounts/update_credentials", json={"source": {"privacy": "unlisted"}})
        assert await quoters() == ["followers"]


async def test_no_page_and_no_stream_has_a_refused_answer_inside_a_quote(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        (an, _), (binh, quoter), (chi, reader), (dung, _) = [
            await door.person(name) for name in ("an", "binh", "chi", "dung")
        ]
        call = door.node.backend.call
        await call("follow", {"account": binh, "as": chi})
        list_ = (await call("list.set", {"title": "L", "as": chi}))["id"]
        await call("list.add", {"id": list_, "accounts": [binh], "as": chi})
        root = (await call("post", {"text": "gốc", "as": an}))["uri"]
        answer = (await call("reply", {"uri": root, "text": "lời xấu", "as": dung}))["uri"]
        quoting = (await call("quote", {"uri": answer, "text": "xem này", "as": binh}))["uri"]
        (row,) = [one for one in await reader.get("/api/v1/timelines/home") if "xem này" in one["content"]]
        at = f"/api/v1/statuses/{row['id']}"
        apps = (
            at,
            "/api/v1/timelines/home",
            "/api/v1/timelines/public",
            f"/api/v1/timelines/list/{thing_id(list_)}",
            f"/api/v1/accounts/{row['account']['id']}/statuses",
        )
        pages = ("/", f"/@{binh.removeprefix('did:banyan:')}", f"/@{row['account']['acct']}/{row['id']}")

        async def told() -> dict[str, tuple[str | None, bool]]:
            """By address: the state of the quote, and whether the words are there."""
            found = dict[str, tuple[str | None, bool]]()
            for path in apps:
                answered = await reader.get(path)
                rows = [answered] if isinstance(answered, dict) else answered
                (one,) = [one for one in rows if one["id"] == row["id"]]
                found[path] = one["quote"]["state"], "lời xấu" in str(one)
            found |= {path: (None, "lời xấu" in str((await nobody.get(path)).text)) for path in pages}
            return found

        nobody, shared = quoter.http, Listening(door)
        home, public = [await shared.to(app(door, chi), f"stream_{name}") for name in ("user", "public")]

        async def streamed() -> set[tuple[str, bool]]:
            """The same of the quoting post, as streams tell it when what it quotes is let or not let any more."""
            statuses = [(await stream.next())[0][1] for stream in (home, public)]
            return {(status.quote.state, "lời xấu" in str(status)) for status in statuses}

        async def every(state: str, shown: bool) -> None:
            wanted = dict.fromkeys(apps, (state, shown)) | dict[str, tuple[str | None, bool]].fromkeys(
                pages, (None, shown)
            )
            assert await told() == wanted
            assert await streamed() == {(state, shown)}

        await call("edit", {"uri": quoting, "text": "xem này, sửa lại"})
        await every("accepted", True)
        await call("thread.hide", {"uri": answer, "as": an})
        await every("unauthorized", False)
        await call("thread.hide", {"uri": answer, "undo": True, "as": an})
        await every("accepted", True)
        await call("edit", {"uri": root, "policy": {"answers": "nobody"}})
        await public.next()
        await every("unauthorized", False)
        await shared.close()
