"""A report from an app reaches the moderators, is decided on the page without scripts, and is told to all whom it
concerns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
from playwright.sync_api import Page

from banyan_node.home.audit import AuditLog
from banyan_web.mastodon.endpoints import reports
from banyan_web.mastodon.entity_ids import account_id
from tests.web.browser import broken, in_browser, logged_in, needs_chromium
from tests.web.door import open_node
from tests.web.lines import open_lines
from tests.web.mastodon_py import app_of, run

RULES = "Không đăng thư rác, Tôn trọng bản quyền"


async def test_a_report_of_an_app_is_decided_over_the_api_and_its_people_hear_of_it(tmp_path: Path) -> None:
    terms = tmp_path / "terms.txt"
    terms.write_text("Điều 1 <b>\n\nĐiều 2")
    async with open_node(tmp_path / "home", http__rules=RULES, http__terms=str(terms)) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        chi, _ = await door.person("Chi")
        await door.node.backend.call("moderator.add", {"account": chi})
        author, reader, moderator = app_of(door, an), app_of(door, binh), app_of(door, chi)
        rules = await run(reader.instance_rules)
        assert [(rule["id"], rule["text"]) for rule in rules] == [
            ("1", RULES.split(", ")[0]),
            ("2", RULES.split(", ")[1]),
        ]
        assert len((await run(reader.instance))["rules"]) == 2
        assert "&lt;b&gt;" in (await door.client().get("/api/v1/instance/terms_of_service"))["content"]
        await door.client().get("/api/v1/instance/privacy_policy", 404)
        post = await run(author.status_post, "mua ngay https://spam.example")
        who = (await run(reader.account_verify_credentials))["id"]
        report = await run(
            reader.report,
            post["account"]["id"],
            status_ids=[post["id"]],
            comment="rác <script>",
            category="violation",
            rule_ids=["1"],
            forward=True,
        )
        assert (report["category"], report["action_taken"], report["forwarded"]) == ("violation", False, True)
        assert (report["status_ids"], report["rule_ids"]) == ([post["id"]], ["1"])
        assert report["target_account"]["id"] == post["account"]["id"]
        assert (await run(reader.report, post["account"]["id"], status_ids=[post["id"]]))["id"] == report["id"]
        for wrong in ({"rule_ids": ["9"]}, {"category": "film"}, {"status_ids": [post["id"]], "account_id": who}):
            given = {"account_id": post["account"]["id"], **wrong}
            await door.client(binh).ask("POST", "/api/v1/reports", 422, json=given)
        (told,) = await run(moderator.notifications)
        assert (told["type"], told["account"]["id"], told["report"]["comment"]) == ("admin.report", who, "rác <script>")
        assert told["report"]["status_ids"] == [post["id"]]
        assert (await run(moderator.notifications, told["id"]))["id"] == told["id"]
        assert await run(reader.notifications) == []
        admin = door.client(chi, "admin")
        made = await admin.post("/v1/admin/decisions", report=int(report["id"]), verdict="label", text="Quảng cáo")
        shown = await run(reader.status, post["id"])
        assert (shown["spoiler_text"], shown["sensitive"]) == ("Quảng cáo", True)
        (told,) = await run(author.notifications)
        assert (told["type"], told["moderation_warning"]["action"]) == (
            "moderation_warning",
            "mark_statuses_as_sensitive",
        )
        assert told["moderation_warning"]["text"] == "Quảng cáo"
        mine = await door.client(binh, "read").get("/v1/reports")
        assert [one["verdict"] for one in mine["reports"][0]["outcome"]] == ["label"]
        assert (await door.client(an, "read").get("/v1/decisions"))["decisions"][0]["text"] == "Quảng cáo"
        await admin.ask("DELETE", f"/v1/admin/decisions/{made['id']}")
        assert (await run(reader.status, post["id"]))["spoiler_text"] == ""
        await run(reader.status_favourite, post["id"])
        types = [one["type"] for one in await run(author.notifications)]
        assert sorted(types) == ["favourite", "moderation_warning", "moderation_warning"]
        first, *rest = await run(author.notifications, limit=1)
        assert rest == []
        older = await run(author.notifications, max_id=first["id"])
        assert len(older) == 2
        only = await run(author.notifications, types=["moderation_warning"])
        assert [one["type"] for one in only] == ["moderation_warning"] * 2
        assert [one["type"] for one in await run(author.notifications, exclude_types=["moderation_warning"])] == [
            "favourite"
        ]
        groups = await run(author.grouped_notifications)
        assert len(groups.notification_groups) == 3


async def test_who_is_limited_is_heard_by_followers_alone_and_a_moderator_does_not_judge_itself(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        an, one = await door.person("An")
        binh, two = await door.person("Bình")
        chi, three = await door.person("Chi")
        await two.post(f"/api/v1/accounts/{account_id(an)}/follow")
        first = await one.ask("POST", "/api/v1/statuses", json={"status": "trước"})
        await two.post(f"/api/v1/statuses/{first['id']}/favourite")
        assert [row["id"] for row in await three.get("/api/v1/trends/statuses")] == [first["id"]]
        made = await door.client(chi, "admin").post("/v1/admin/decisions", account=an, verdict="limit")
        assert await three.get("/api/v1/trends/statuses") == []
        dung, four = await door.person("Dũng")
        await four.post(f"/api/v1/accounts/{account_id(binh)}/follow")
        streams: list[tuple[str, str | None]] = [("/api/v1/streaming/public", chi), ("/api/v1/streaming/user", binh)]
        streams += [("/live/events", None), ("/api/v1/streaming/user?of=dung", dung)]
        heard = dict[str, str]()

        async def hear(path: str, who: str | None, opened: trio.Event) -> None:
            token = None if who is None else door.token(who, "read")
            async with open_lines(door.url, path, token) as lines:
                opened.set()
                async for line in lines:
                    heard[path] = heard.get(path, "") + line
                    if "ai cũng thấy" in line:
                        return

        with trio.fail_after(180):
            async with trio.open_nursery() as nursery:
                for path, who in streams:
                    opened = trio.Event()
                    nursery.start_soon(hear, path, who, opened)
                    await opened.wait()
                few = await one.ask("POST", "/api/v1/statuses", json={"status": "ít người thấy"})
                await two.post(f"/api/v1/statuses/{few['id']}/reblog")
                await two.ask("POST", "/api/v1/statuses", json={"status": "ai cũng thấy"})
        assert {path for path, text in heard.items() if "ít người thấy" in text} == {"/api/v1/streaming/user"}
        await door.client(chi, "admin").ask("DELETE", f"/v1/admin/decisions/{made['id']}")
        await door.node.backend.call("moderator.add", {"account": chi})
        await two.post("/api/v1/reports", account_id=account_id(chi), comment="chính chị ấy")
        cookie = logged_in(door, chi, "Chi")
        with_cookie = {"cookie": f"{cookie['name']}={cookie['value']}", "accept": "text/html"}
        for path, status in (("/moderation/reports/1", 403), ("/moderation", 200), ("/moderation/decisions", 200)):
            answer = await door.client().http.get(path, headers=with_cookie)
            assert answer.status_code == status
            assert "chính chị ấy" not in answer.text


@needs_chromium
async def test_a_moderator_decides_on_the_page_without_scripts_and_nobody_else_sees_it(tmp_path: Path) -> None:
    async with open_node(tmp_path, http__rules=RULES) as door:
        an, _ = await door.person("An")
        binh, _ = await door.person("Bình")
        chi, _ = await door.person("Chi")
        call = door.node.backend.call
        uri = (await call("post", {"text": "chép của báo <img src=x onerror=alert(1)>", "as": an}))["uri"]
        other = (await call("post", {"text": "bài khác", "as": an}))["uri"]
        await call("moderator.add", {"account": chi})

        def report(page: Page) -> str:
            page.context.add_cookies([logged_in(door, binh, "Bình")])
            page.goto(door.url)
            href = page.locator(f"article[data-uri='{uri}'] a[href^='/report']").get_attribute("href")
            page.goto(f"{door.url}{href}")
            page.check("input[value=legal]")
            page.fill("textarea[name=comment]", "bài của tôi, đăng ngày 1/2")
            page.click("form.decide button")
            assert "/reports" in page.url
            ran = " ".join(broken(page))
            page.goto(door.url + "/moderation")
            return page.inner_text("main") + ran

        seen = await in_browser(report, locale="en", java_script_enabled=True)
        assert "This did not work" in seen
        assert "a script ran" not in seen

        def decide(page: Page) -> dict[str, Any]:
            page.context.add_cookies([logged_in(door, chi, "Chi")])
            page.goto(door.url)
            page.click("nav >> text=Moderation")
            queue = page.inner_text("main")
            page.click("main >> text=Report 1")
            text = page.inner_text("main")
            page.check("input[value=withhold]")
            page.click("details >> text=Withhold the posts, by an order")
            page.fill("input[name=order]", "Đơn của Báo An, 3/2")
            page.fill("input[name=basis]", "Luật SHTT, Điều 198b")
            page.fill("input[name=why]", "đúng là của họ")
            page.click("form.decide >> text=Decide so")
            after = page.inner_text("main")
            page.goto(door.url + "/moderation/law")
            law = page.inner_text("main")
            page.goto(door.url)
            return {"queue": queue, "text": text, "after": after, "law": law, "home": page.inner_text("main")}

        shown = await in_browser(decide, locale="en", java_script_enabled=False)
        assert "bài của tôi" in shown["queue"]
        assert "<img src=x" in shown["text"]
        assert "Withhold the posts, by an order" in shown["after"]
        assert "Đơn của Báo An" in shown["law"]
        assert ("chép của báo" in shown["home"], "bài khác" in shown["home"]) == (False, True)
        (row,) = (await call("content.withheld", {}))["posts"]
        assert (row["uri"], row["basis"]) == (uri, "Luật SHTT, Điều 198b")

        def undo(page: Page) -> str:
            page.context.add_cookies([logged_in(door, chi, "Chi")])
            page.goto(door.url + "/moderation/decisions")
            page.fill("input[name=why]", "nhầm")
            page.click("text=Rút lại")
            page.goto(door.url)
            return page.inner_text("main")

        assert "chép của báo" in await in_browser(undo, locale="vi", java_script_enabled=False)
        acts, _ = AuditLog(door.node.home.audit).page(0, None, 100, lambda one: one.via == "page")
        assert [(act.who, act.do, act.why) for act in acts] == [
            (chi, "decision.add", "đúng là của họ"),
            (chi, "decision.undo", "nhầm"),
        ]
        await call("moderator.drop", {"account": chi})
        session = door.client()
        cookie = logged_in(door, chi, "Chi")
        session.http.cookies.set(cookie["name"], cookie["value"])
        answer = await session.http.get("/moderation")
        assert answer.status_code == 403
        csrf = (await session.http.get("/reports")).text.split('name="csrf" value="')[1].split('"')[0]
        for path in ("/moderation/reports/1/decide", "/moderation/decisions/1/undo"):
            form = {"csrf": csrf, "verdict": "hide", "posts[]": other}
            assert (await session.http.post(path, data=form)).status_code == 403
        assert (await session.http.post("/report", data={"uri": other})).status_code == 403
        assert (await call("report.list", {}))["open"] == 1


def test_an_app_says_which_order_is_over() -> None:
    made = {"id": 1, "verdict": "withhold", "text": "", "basis": "Điều 23", "scope": "vn", "at_ms": 1, "undone_ms": 2}
    said = reports.warning({**made, "order": "A"}, {})["text"]
    assert said == "No longer withheld by this order: A; Điều 23; vn"
    label = {**made, "order": "", "basis": "", "scope": "", "verdict": "label"}
    assert reports.warning(label, {})["text"] == "The moderators took this back."
