"""Forms come from pages of this server alone; a person's token may name its own account; what is private stays so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.web.door import open_node
from tests.web.test_page import call


async def test_who_may_ask_for_what(tmp_path: Path) -> None:
    async with open_node(tmp_path / "node") as door, httpx.AsyncClient(base_url=door.url, timeout=60) as http:
        an, mine = await door.person("An")
        binh, _ = await door.person("Bình")
        for path in ("/login", "/login/revoke", "/login/password", "/logout", "/oauth/authorize", "/post"):
            for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
                answer = await http.post(path, data={"csrf": "0" * 64}, headers=headers)
                assert answer.status_code == 403, (path, headers)
                assert "Another site sent this form" in answer.text, (path, headers)
            answer = await http.post(path, data={"csrf": "0" * 64}, headers={"origin": door.url})
            assert "Another site sent this form" not in answer.text, path

        said: dict[str, Any] = {"do": "post", "text": "tôi đây"}
        for n, named in enumerate((None, an, "An")):
            more: dict[str, Any] = {"id": f"{n}"} | ({} if named is None else {"as": named})
            row = await mine.post("/v1/operations", **said | more)
            assert row["answer"]["uri"].startswith(an)
        for other in (binh, "Bình", "Ann"):
            by: dict[str, Any] = {"as": other}
            await mine.post("/v1/operations", 403, **said, **by, id=other)
            await mine.get("/v1/feed", 403, **by)
        own: dict[str, Any] = {"as": "An"}
        assert len((await mine.get("/v1/feed", limit=3, **own))["posts"]) == 3

        await call(door, "mute", account=binh, by=an)
        asked = {"since": "begin", "follow": "false"}
        for scope, told in (("read", False), ("firehose", True)):
            for more in ({}, {"proof": "1"}):  # from the tail, and from the node
                answer = await door.client(an, scope).http.get("/v1/firehose", params=asked | more)
                assert answer.status_code == 200
                assert ('"collection":"private"' in answer.text, '"collection":"post"' in answer.text) == (told, True)
