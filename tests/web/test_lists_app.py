"""Lists, filters, markers, search and what is off, as a client library sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from mastodon.errors import MastodonAPIError, MastodonNotFoundError

from banyan_web.mastodon.entity_ids import status_id, thing_of
from tests.node.real import converged
from tests.web.door import open_node
from tests.web.library import person


def names(rows: list[Any]) -> list[str]:
    return sorted(row["display_name"] for row in rows)


async def test_a_list_has_accounts_of_all_nodes_and_a_timeline(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, binh, chi = await person(a, "an"), await person(a, "binh"), await person(b, "chi")
        await converged([a.node, b.node])
        made = await an.ask("list_create", "bạn bè", replies_policy="none", exclusive=True)
        assert (made["title"], made["replies_policy"], made["exclusive"]) == ("bạn bè", "none", True)
        here, away = await an.id_of(binh), await an.id_of(chi)
        await an.ask("list_accounts_add", made["id"], [here, away])
        assert names(await an.ask("list_accounts", made["id"])) == ["binh", "chi"]
        page = await an.ask("list_accounts", made["id"], limit=1)
        assert names(page + await an.ask("fetch_next", page)) == ["binh", "chi"]
        assert [one["id"] for one in await an.ask("account_lists", away)] == [made["id"]]
        await chi.node("post", text="từ xa")
        await binh.node("post", text="ở gần")
        await converged([a.node, b.node])
        feed = await an.node("feed", in_list=thing_of(made["id"]))
        assert [row["text"] for row in feed["posts"]] == ["ở gần", "từ xa"]
        await an.ask("list_accounts_delete", made["id"], [here])
        assert names(await an.ask("list_accounts", made["id"])) == ["chi"]
        assert await an.ask("account_lists", here) == []
        assert (await an.ask("list_update", made["id"], "họ hàng"))["title"] == "họ hàng"
        assert [one["title"] for one in await an.ask("lists")] == ["họ hàng"]
        assert (await an.ask("list", made["id"]))["id"] == made["id"]
        assert await binh.ask("lists") == []
        for wrong in (made["id"], "7", "x" * 32):
            with pytest.raises(MastodonNotFoundError):
                await binh.ask("list", wrong)
        with pytest.raises(MastodonAPIError, match="can't be blank"):
            await an.ask("list_create", "  ")
        with pytest.raises(MastodonAPIError, match="names 1 to 1,000 accounts"):
            await an.ask("list_accounts_add", made["id"], [])
        await an.ask("list_delete", made["id"])
        assert await an.ask("lists") == []
        with pytest.raises(MastodonNotFoundError):
            await an.ask("list_accounts", made["id"])


async def test_a_filter_with_several_keywords_is_one_and_hides_what_it_says(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        await an.ask("account_follow", await an.id_of(binh))
        for text in ("trận bóng đá", "đội tuyển", "phở"):
            await binh.node("post", text=text)

        async def home() -> list[str]:
            return [row["text"] for row in (await an.node("feed"))["posts"]]

        made = await an.ask(
            "create_filter_v2",
            "Thể thao",
            ["home", "public"],
            "hide",
            expires_in=3600,
            keywords_attributes=[{"keyword": "bóng đá"}, {"keyword": "đội", "whole_word": False}],
        )
        assert (made["title"], made["filter_action"]) == ("Thể thao", "hide")
        assert made["context"] == ["home", "public"]
        assert timedelta(minutes=59) < made["expires_at"] - datetime.now(UTC) <= timedelta(minutes=60)
        assert [(one["keyword"], one["whole_word"]) for one in made["keywords"]] == [("bóng đá", True), ("đội", False)]
        assert await home() == ["phở"]
        (listed,) = await an.ask("filters_v2")
        assert listed == made
        assert (await an.ask("filter_v2", made["id"]))["keywords"] == made["keywords"]
        first, second = made["keywords"]
        changed = await an.ask(
            "update_filter_v2",
            made["id"],
            title="Bóng",
            filter_action="warn",
            keywords_attributes=[{"id": first["id"], "keyword": "phở"}, {"id": second["id"], "_destroy": True}],
        )
        assert (changed["id"], changed["title"], changed["filter_action"]) == (made["id"], "Bóng", "warn")
        assert [(one["id"], one["keyword"]) for one in changed["keywords"]] == [(first["id"], "phở")]
        assert changed["expires_at"] == made["expires_at"]
        assert len(await home()) == 3, "it warns now"
        more = await an.ask("add_filter_keyword_v2", made["id"], "bún")
        assert more["keyword"] == "bún"
        assert {one["keyword"] for one in await an.ask("filter_keywords_v2", made["id"])} == {"phở", "bún"}
        await an.ask("delete_filter_keyword_v2", more["id"])
        with pytest.raises(MastodonAPIError, match="at least one keyword"):
            await an.ask("delete_filter_keyword_v2", first["id"])
        assert [(one["phrase"], one["irreversible"]) for one in await an.ask("filters")] == [("phở", False)]
        assert await an.ask("filter_statuses_v2", made["id"]) == []

        old = (await an.node("filter.set", words="cũ"))["id"]
        by_title = {one["title"]: one for one in await an.ask("filters_v2")}
        assert {*by_title} == {"Bóng", "cũ"}
        assert thing_of(by_title["cũ"]["id"]) == old, "one of the command line is shown too"
        both = await an.ask("update_filter_v2", by_title["cũ"]["id"], keywords_attributes=[{"keyword": "mới"}])
        assert (both["id"], both["title"], len(both["keywords"])) == (by_title["cũ"]["id"], "cũ", 2)
        assert await binh.ask("filters_v2") == []
        with pytest.raises(MastodonNotFoundError):
            await binh.ask("filter_v2", made["id"])
        for wrong, says in (
            ({"title": "x", "context": ["nowhere"], "filter_action": "warn"}, "no context"),
            ({"title": "x", "context": ["home"], "filter_action": "blur"}, "warn or hide"),
            ({"title": "x", "context": ["home"], "filter_action": "warn"}, "at least one keyword"),
        ):
            with pytest.raises(MastodonAPIError, match=says):
                await an.ask("create_filter_v2", **wrong)
        await an.ask("delete_filter_v2", made["id"])
        assert [one["title"] for one in await an.ask("filters_v2")] == ["cũ"]


async def test_a_marker_of_home_goes_forward_only_and_is_that_of_the_node(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an = await person(door, "an")
        for text in ("một", "hai"):
            await an.node("post", text=text)
        second, first = (status_id(row["uri"], row["time_ms"]) for row in (await an.node("feed"))["posts"])
        assert await an.ask("markers_get", ["home", "notifications"]) == {}
        said = await an.ask("markers_set", ["home"], [second])
        assert said["home"]["last_read_id"] == second
        assert (await an.ask("markers_set", ["home"], [first]))["home"]["last_read_id"] == second
        assert (await an.ask("markers_get", ["home"]))["home"]["last_read_id"] == second
        assert (await an.node("feed", rank="catch_up"))["posts"] == [], "the node knows that both are read"
        with pytest.raises(MastodonAPIError, match="no id of this server"):
            await an.ask("markers_set", ["home"], ["12"])


async def test_search_finds_accounts_posts_and_tags_and_resolves_addresses(tmp_path: Path) -> None:
    async with open_node(tmp_path / "a") as a, open_node(tmp_path / "b", a.node.edge.addresses) as b:
        an, chi = await person(a, "an"), await person(b, "chi")
        uri = (await chi.node("post", text="Hội phở ở #HàNội"))["uri"]
        await chi.node("post", text="chi nói")
        await converged([a.node, b.node])
        with trio.fail_after(60):
            while (await an.node("search", question="phở"))["behind"]:
                await trio.sleep(0.1)
        found = await an.ask("search_v2", "phở")
        assert [row["uri"] for row in found["statuses"]] == [uri]
        assert (found["accounts"], found["hashtags"][0]["name"]) == ([], "phở")
        both = await an.ask("search_v2", "chi")
        assert names(both["accounts"]) == ["chi"]
        assert len(both["statuses"]) == 1
        only = await an.ask("search_v2", "chi", result_type="accounts")
        assert (len(only["accounts"]), only["statuses"], only["hashtags"]) == (1, [], [])
        tags = (await an.ask("search_v2", "#hàn", result_type="hashtags"))["hashtags"]
        assert [row["name"].casefold() for row in tags] == ["hànội"]
        assert (await an.ask("search_v2", uri))["statuses"][0]["uri"] == uri
        status = found["statuses"][0]
        assert (await an.ask("search_v2", status["url"]))["statuses"][0]["id"] == status["id"]
        assert names((await an.ask("search_v2", chi.did))["accounts"]) == ["chi"]
        assert names((await an.ask("search_v2", status["account"]["url"]))["accounts"]) == ["chi"]
        mine = await an.ask("search_v2", "phở", account_id=(await an.ask("me"))["id"])
        assert mine["statuses"] == []
        assert (await an.ask("search_v2", "phở", offset=1))["statuses"] == []
        for nothing in (
            "",
            "  ",
            '"',
            "-",
            "from:nobody@",
            uri[:-1] + ("1" if uri.endswith("0") else "0"),
            f"{a.url}/@nobody",
            "https://else.example/@an",
        ):
            found = await an.ask("search_v2", nothing, resolve=True)
            assert (found["accounts"], found["statuses"]) == ([], []), nothing
        (tag,) = await an.ask("trending_tags")
        assert (tag["name"].casefold(), tag["history"][0]["uses"], tag["history"][0]["accounts"]) == ("hànội", "1", "1")
        assert len(tag["history"]) == 7
        again = await an.ask("tag", "HàNội")
        assert (again["following"], again["history"]) == (False, tag["history"])
        assert {day["uses"] for day in (await an.ask("tag", "Huế"))["history"]} == {"0"}
        await a.node.backend.call("mute", {"account": chi.did, "as": an.did})
        assert await an.ask("trending_tags") == []


async def test_what_the_network_has_no_word_for_is_off(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        an, binh = await person(door, "an"), await person(door, "binh")
        id_ = await an.id_of(binh)
        for nothing in ("endorsements", "conversations", "domain_blocks"):
            assert await an.ask(nothing) == [], nothing
        for method, given, says in (
            ("account_endorse", (id_,), "no endorsements"),
            ("domain_block", ("x.example",), "no domains"),
        ):
            with pytest.raises(MastodonAPIError, match=says):
                await an.ask(method, *given)
        anybody = door.client()
        for path in (f"accounts/{id_}/collections", f"accounts/{id_}/in_collections"):
            assert await anybody.get(f"/api/v1/{path}") == {"collections": []}
        await anybody.get("/api/v1/collections/1", 404)
        assert "no collections" in (await door.client(an.did).post("/api/v1/collections", 422, name="x"))["error"]
