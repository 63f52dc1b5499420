"""A person with toot, in a terminal: https://pypi.org/project/toot. What it prints is read as a person reads it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import trio

from tests.interop.said import Person, Poll, Post, Refusal
from tests.needs import ROOT
from tests.web.door import Door
from tests.web.login_page import Browser, code_on

MARKS = {"boost": "reblog", "unboost": "unreblog"}
DOES = {
    "now follows you": "follow",
    "mentioned you": "mention",
    "boosted your status": "reblog",
    "favourited your status": "favourite",
}
WIDE = 300
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
"""Of polls toot prints it without a terminal too."""
_RULER = "─"
_PERSON = re.compile(r"^\* @(\S+) (.*)$", re.M)
_NOTICE = re.compile(rf"^(?:.* )?@(\S+) ({'|'.join(DOES)})$", re.M)
_END = re.compile(r"^ID (\d+)  Visibility: \w+  (?:↲ In reply to (\d+) )? ?(?:↻ @(\S+) boosted )?$")
_BY = re.compile(r"@(\S+) +\d{4}-\d\d-\d\d \d\d:\d\d UTC$")
_POLL = re.compile(r"^Poll (\d+) · \d+ votes")
_BAR = re.compile(r"^\d+% \((\d+)\)")
_CHOSEN = "  ✓ Your vote"


class Shell:
    """Where the commands run. home: where toot keeps its logins."""

    def __init__(self, home: Path, process: trio.Process) -> None:
        self.home, self._process, self._turn = home, process, trio.Lock()

    async def run(self, *command: str) -> str:
        """Raises Refusal."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            said, complaints = self.home / "said", self.home / "complaints"
            for path in (said, complaints):
                path.write_bytes(b"")
            line = json.dumps([command, str(said), str(complaints)])
            await self._process.stdin.send_all(line.encode() + b"\n")
            with trio.fail_after(60):
                code = await self._process.stdout.receive_some()
            if int(code) != 0:
                raise Refusal(complaints.read_text("utf-8"))
            return _COLOUR.sub("", said.read_text("utf-8"))


@asynccontextmanager
async def shell(home: Path) -> AsyncIterator[Shell]:
    command = [sys.executable, "-m", "tests.interop.toot_shell"]
    process = await trio.lowlevel.open_process(
        command, env=_environment(home), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Shell(home, process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                await pipe.aclose()


def _environment(home: Path) -> dict[str, str]:
    """What does not fit on the screen, toot asks about, page by page: so it is large."""
    return {**os.environ, "XDG_CONFIG_HOME": str(home), "COLUMNS": str(WIDE), "LINES": "100000"}


class Toot:
    LACKS = frozenset(
        {
            "edit",
            "history",
            "favourited_by",
            "quote",
            "quoted_by",
            "filter",
            "listen",
            "scheduled",
            "unschedule",
            "every notices",
            "every bookmarks",
            "revoke",
        }
    )

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._who = ""

    async def _run(self, *command: str) -> str:
        """What it prints. Raises Refusal with what it complains of."""
        who = ["--as", self._who] if self._who else []
        return await self._shell.run("--max-width", str(WIDE), *who, *command)

    async def log_in(self, door: Door, name: str, password: str) -> None:
        await trio.to_thread.run_sync(self._log_in, door.url, name, password)
        self._who = f"{name}@{urlsplit(door.url).netloc}"

    def _log_in(self, url: str, name: str, password: str) -> None:
        command = [sys.executable, "-m", "toot", "login", "--instance", url]
        with subprocess.Popen(
            command,
            env=_environment(self._shell.home),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as toot:
            assert toot.stdin is not None
            assert toot.stdout is not None
            link = next((line.strip() for line in toot.stdout if line.startswith(url)), None)
            assert link is not None, "it printed no address"
            browser = Browser(url)
            code = code_on(browser.send(browser.log_in(link, name, password), 200, answer="allow"))
            toot.stdin.write(f"n\n{code}\n")
            toot.stdin.flush()
            said = toot.stdout.read()
        assert "✓ Successfully logged in." in said, said

    async def me(self) -> Person:
        head = (await self._run("whoami")).splitlines()[0]
        acct, _, name = head.removeprefix("@").partition(" ")
        return Person(acct, name)

    async def post(
        self,
        text: str,
        *,
        picture: tuple[Path, str] | None = None,
        poll: Sequence[str] = (),
        answers: str | None = None,
        warning: str | None = None,
    ) -> Post:
        command = ["post", text]
        if picture is not None:
            command += ["--media", str(picture[0]), "--description", picture[1]]
        command += [part for option in poll for part in ("--poll-option", option)]
        command += ["--reply-to", answers] if answers else []
        command += ["--spoiler-text", warning] if warning else []
        said = await self._run(*command)
        assert said.startswith("Toot posted: http"), said
        url = said.split()[-1]
        return (await self.show(url.rpartition("/")[2]))._replace(url=url)

    async def show(self, id_: str) -> Post:
        return _post((await self._run("status", id_)).splitlines())

    async def delete(self, id_: str) -> None:
        assert await self._run("delete", id_) == "✓ Status deleted\n"

    async def thread(self, id_: str) -> list[str]:
        return [post.id for post in _posts(await self._run("thread", id_))]

    async def mark(self, what: str, id_: str) -> None:
        assert (await self._run(MARKS.get(what, what), id_)).startswith("✓ Status ")

    async def boosted_by(self, id_: str) -> list[str]:
        said = (await self._run("reblogged-by", id_)).splitlines()
        return [] if said == ["This status is not reblogged by anyone"] else [row.split()[0] for row in said[2:]]

    async def vote(self, poll: str, option: int) -> Poll:
        said = (await self._run("polls", "vote", poll, str(option))).splitlines()
        assert said[0] == "You voted!"
        return _poll(said[2:])

    async def find(self, name: str) -> Person:
        ((acct, name),) = _PERSON.findall(await self._run("search", name, "--type", "accounts"))
        return Person(acct, name)

    async def tie(self, what: str, who: Person) -> None:
        assert (await self._run(what, who.acct)).startswith("✓ ")

    async def people(self, what: str) -> list[str]:
        return [acct for acct, _ in _PERSON.findall(await self._run(what))]

    async def _timeline(self, what: str, of: str, *more: str) -> list[Post]:
        if what == "bookmarks":
            return _posts(await self._run("bookmarks", "--once"))
        return _posts(await self._run("timelines", what, *([of] if of else []), "--no-clear", *more))

    async def timeline(self, what: str, of: str = "") -> list[Post]:
        return await self._timeline(what, of, "--no-pager")

    async def every(self, what: str, of: str = "") -> list[str]:
        return [post.id for post in await self._timeline(what, of, "--pager", "--limit", "2")]

    async def make_list(self, title: str, who: Person) -> None:
        assert await self._run("lists", "create", title) == f'✓ List "{title}" created.\n'
        assert await self._run("lists", "add", title, who.acct) == f'✓ Added account "{who.acct}"\n'
        assert f"* @{who.acct} {who.name}\n" in await self._run("lists", "accounts", title)

    async def lists(self) -> list[str]:
        rows = (await self._run("lists", "list")).splitlines()[2:]
        return [re.split(r" {2,}", row)[1] for row in rows]

    async def drop_list(self, title: str) -> None:
        assert await self._run("lists", "delete", title) == f'✓ List "{title}" deleted.\n'

    async def search(self, words: str) -> tuple[list[str], list[str], list[str]]:
        said = await self._run("search", words)
        tags = re.findall(r"#([^\s,]+)", said.partition("\nHashtags:")[2].partition("\n\n")[0])
        return [acct for acct, _ in _PERSON.findall(said)], tags, re.findall(r"^ \* (\d+) http", said, re.M)

    async def notices(self) -> list[tuple[str, str]]:
        return [(DOES[does], acct) for acct, does in _NOTICE.findall(await self._run("notifications"))]

    async def schedule(self, text: str, at: datetime) -> None:
        said = await self._run("post", text, "--scheduled-at", at.isoformat())
        assert said.startswith(f"Toot scheduled for: {at:%Y-%m-%d %H:%M:%S}"), said

    async def close(self) -> None:
        assert await self._run("logout", self._who) == f"✓ Account {self._who} logged out\n"


def _posts(said: str) -> list[Post]:
    """Those between rulers."""
    blocks, block = [], list[str]()
    for line in said.splitlines():
        if line.startswith(_RULER):
            blocks.append(block)
            block = []
        else:
            block.append(line)
    return [_post(one) for one in blocks if one]


def _post(lines: list[str]) -> Post:
    """As it is printed: who and when, the text, media, the poll, and its id."""
    by, end = _BY.search(lines[0]), _END.match(lines[-1])
    assert by is not None, lines[0]
    assert end is not None, lines[-1]
    body = lines[2:-2]
    media = body[body.index("Media:") + 1 :] if "Media:" in body else []
    text = body[: body.index("Media:") - 1] if media else body
    poll = _poll(body) if any(map(_POLL.match, body)) else None
    if poll is not None:
        text = body[: body.index(poll.options[0] + _CHOSEN * (0 in poll.mine)) - 1]
    return Post(end[1], "\n".join(text), by[1], end[2], end[3], tuple(media), poll=poll)


def _poll(lines: list[str]) -> Poll:
    bars = [n for n, line in enumerate(lines) if _BAR.match(line)]
    shown = [lines[n - 1] for n in bars]
    votes = [int(found[1]) for n in bars if (found := _BAR.match(lines[n]))]
    (id_,) = [found[1] for line in lines if (found := _POLL.match(line))]
    mine = tuple(n for n, option in enumerate(shown) if option.endswith(_CHOSEN))
    return Poll(id_, tuple(option.removesuffix(_CHOSEN) for option in shown), tuple(votes), mine)
