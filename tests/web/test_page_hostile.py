"""What strangers write stays text: payloads in every field that a page shows, looked at in a browser."""

from __future__ import annotations

import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from banyan_web.page.formats import account_path, post_path
from tests.needs import NIGHT
from tests.web.browser import broken, in_browser, logged_in, needs_chromium
from tests.web.door import open_node
from tests.web.test_page import call

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script/src=data:,alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)//",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' onfocus='alert(1)' autofocus='",
    '" autofocus onfocus=alert(1) tabindex=0 "',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<textarea autofocus onfocus=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<style>@import 'javascript:alert(1)'</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=//evil.example/>",
    "<form action=javascript:alert(1)><button>x",
    "<a href=javascript:alert(1)>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/'onclick='alert(1)",
    "https://x.example/<script>alert(1)</script>",
    "#<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{{ ''.__class__ }}",
    "{% for x in (1,2) %}x{% endfor %}",
    "${alert(1)}",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "\u202e<script>alert(1)</script>\u2066",
    "{0.__class__}{name}{title}",
]


@needs_chromium
async def test_nothing_that_strangers_write_runs(tmp_path: Path) -> None:
    assert len(PAYLOADS) >= 50
    async with open_node(tmp_path / "node") as door:
        own, _ = await door.person("node")
        picture = tmp_path / "a.png"
        Image.new("RGB", (8, 8)).save(picture)
        blob = (await call(door, "media.put", path=str(picture)))["blob"]
        closes, places = int(time.time() * 1000) + 3_600_000, list[str]()
        theirs = [(await call(door, "post", text="own"))["uri"] for _ in PAYLOADS]
        for n, bad in enumerate(PAYLOADS):
            who = (await call(door, "account.create", name=f"mallory {n}", hosted=True))["account"]
            fields = {"name": bad, "bio": bad, bad[:60]: bad}
            await call(door, "profile.set", fields=fields, by=who)
            media = [{"blob": blob, "description": bad}]
            poll = {"options": [bad, f"{bad} 2"], "closes_ms": closes}
            uri = (await call(door, "post", text=bad, warning=bad, media=media, poll=poll, by=who))["uri"]
            quote = (await call(door, "quote", uri=uri, text=f"xem {bad}", by=who))["uri"]
            group = await call(door, "group.create", name=bad, description=bad, rules=bad, by=who)
            await call(door, "post", text=bad, group=group["uri"], by=who)
            channel = await call(door, "channel.set", title=bad, description=bad, kind="video", by=who)
            await call(door, "episode.set", channel=channel["uri"], post=uri, title=bad, by=who)
            kinds = [account_path(who), post_path(quote)]
            kinds += ["/groups/" + post_path(group["uri"])[2:], "/channels/" + post_path(channel["uri"])[2:]]
            if NIGHT or n % 4 == 0:
                places += kinds if NIGHT else [kinds[n // 4 % 4]]
            await call(door, "follow", account=own, by=who)
            await call(door, "react", uri=theirs[n], emoji="🌳", by=who)
        session = logged_in(door, own, "node")

        def look(page: Page) -> tuple[list[str], list[str], set[str]]:
            found, errors, texts = list[str](), list[str](), set[str]()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.context.add_cookies([session])
            at: str | None = door.url + "/"
            while at is not None and "own" not in texts:
                page.goto(at)
                page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
                page.mouse.move(200, 300)
                texts |= {*page.locator(".text").all_inner_texts()}
                found += broken(page)
                more = page.locator("a[rel=next]")
                at = None if more.count() == 0 else door.url + "/" + (more.first.get_attribute("href") or "")
            for place in [
                *places,
                "/notifications",
                "/network",
                "/live",
                "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
            ]:
                page.goto(door.url + place)
                found += [f"{place}: {what}" for what in broken(page)]
            return found, errors, texts

        found, errors, texts = await in_browser(look)
        assert found == []
        assert errors == []
        assert sum(f"xem {bad}" in texts for bad in PAYLOADS) > 40
