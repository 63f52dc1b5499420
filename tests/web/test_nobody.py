"""Who is not logged in sees what everybody sees: nothing of what the account of the node itself mutes, keeps or did."""

from __future__ import annotations

from pathlib import Path

from tests.web.door import open_node


async def test_what_the_nodes_own_account_keeps_to_itself_is_not_shown_to_strangers(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        call = door.node.backend.call
        await door.person("an")
        loud, client = await door.person("ồn ào")
        post = await client.ask("POST", "/api/v1/statuses", json={"status": "một tin về cưới"})
        uri = post["uri"]
        await call("react", {"uri": uri, "emoji": "❤"})
        await call("bookmark", {"uri": uri})
        await call("filter.set", {"words": "cưới", "action": "hide"})
        await call("mute", {"account": loud})
        assert (await call("feed", {"all": True}))["posts"] == [], "the own account mutes it"
        (row,) = (await call("feed", {"all": True, "as": ""}))["posts"]
        assert (row["uri"], row["filtered"], row["mine"]) == (uri, None, None)
        stranger = door.client()
        (seen,) = await stranger.get("/api/v1/timelines/public")
        assert (seen["uri"], seen["favourites_count"]) == (uri, 1)
        alone = await stranger.get(f"/api/v1/statuses/{post['id']}")
        for status in (seen, alone):
            assert not any(status.get(mark) for mark in ("favourited", "bookmarked", "reblogged", "pinned", "filtered"))
        assert "cưới" in (await stranger.http.get("/")).text
