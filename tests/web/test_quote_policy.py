"""Who may quote a post, in the words of Mastodon's API, and what the pages say of who may answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.web.door import open_node


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
