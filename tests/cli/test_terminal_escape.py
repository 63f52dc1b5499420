"""What others say does nothing to the terminal that it is shown on, through every command that prints it."""

from __future__ import annotations

import io
import json
import time
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog
import trio

from banyan_cli.out import Out
from banyan_crdt.ids import account_from_text, account_to_text
from banyan_node.edge import EdgeConfig, open_edge
from banyan_node.home.folder import Home
from banyan_node.home.sections import LogSettings
from banyan_node.home.settings import load
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append
from banyan_node.local import open_local
from banyan_node.logging import set_up_logging
from banyan_node.terminal_escape import plain, plain_json
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import Bye
from banyan_schema.social import post_from_text, react
from tests.cli.shell import banyan, clean_environment, node_up

HOSTILE = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://x.test\x1b\\link",
    "a\rb",
    "a\bb",
    "\x9b2J",
    "\x85",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\u061c\u200e\u200f",
    "a\u2028b\u2029c",
    "\x00\x7f",
)
WORDS = " | ".join(HOSTILE)


def harmful(text: str) -> set[str]:
    """The characters of `text` that could do something. A result of several lines has line breaks of its own."""
    turns = {"AL", "R", "RLE", "LRE", "PDF", "RLO", "LRO", "LRI", "RLI", "FSI", "PDI", "L"}
    return {
        c
        for c in text
        if c != "\n"
        and (
            unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")
            or (unicodedata.category(c) == "Cf" and unicodedata.bidirectional(c) in turns)
        )
    }


@pytest.mark.parametrize("said", HOSTILE)
def test_text_and_json_are_made_harmless_and_json_keeps_its_value(said: str) -> None:
    assert harmful(said)
    assert not harmful(plain(said))
    assert "\n" not in plain(said)
    written = plain_json(json.dumps(said, ensure_ascii=False))
    assert not harmful(written)
    assert json.loads(written) == said


def test_words_of_every_script_are_shown_as_they_are() -> None:
    for said in ("Nguyễn Thị Minh Khai", "שלום", "مرحبا", "क्ष", "花子", "👩‍👩‍👧 ❤️ 🇻🇳", "e\u0301"):
        assert plain(said) == said


@pytest.mark.parametrize("said", HOSTILE)
def test_what_a_command_forgets_to_clean_is_cleaned_where_it_leaves(
    said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Out(json=False)
    out.answer(said, lambda console, value: console.print(value, style="bold", markup=False, soft_wrap=True))
    out.done({}, said)
    out.note(said)
    shown = capsys.readouterr()
    assert not harmful(shown.out + shown.err)
    assert shown.out
    assert shown.err


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("said", HOSTILE)
def test_a_line_of_the_log_is_harmless(said: str) -> None:
    forms: tuple[Literal["console", "json"], ...] = ("console", "json")
    for form in forms:
        out = io.StringIO()
        set_up_logging(LogSettings(format=form), out)
        try:
            raise ValueError(said)
        except ValueError:
            structlog.get_logger("banyan").exception(said, reason=said, reasons=[said])
        assert "ValueError" in out.getvalue()
        assert not harmful(out.getvalue())


def test_no_command_prints_what_others_say_raw(home: Path) -> None:
    with open_local(Home(home), load(Home(home), env=clean_environment())) as node:
        other = node.call("account.create", name="other", hosted=True)["account"]
        node.call("profile.set", fields={"name": WORDS[:60], WORDS[:30]: WORDS}, by=other)
        made = hosted.create(node.context, "named " + WORDS, time.time_ns() // 1_000_000)  # as older programs took it
        long = account_to_text(made.account)
        post = node.call("post", text=WORDS, by=other)["uri"]
        node.call("reply", uri=post, text=WORDS, by=other)
        node.call("quote", uri=post, text=WORDS, by=other)
        liar = account_from_text(other)
        for emoji in ("\x9b2J", "\u202e", "\x1b[2J"):  # as another program writes it
            draft = react(hosted.salt_of(node.context, liar), post_from_text(post), emoji)
            append(node.context, liar, [draft], time.time())
        node.call("follow", account=other)
        node.call("follow", account=long)
        held = node.call("post", text="held", by=other)["uri"]
        node.call("content.withhold", uri=held, order=WORDS[:90], basis=WORDS[:90], scope=WORDS[:90])
        names = [row["name"] for row in node.call("collections")["collections"]]
    asked: list[tuple[Any, ...]] = [("item", "list", other, name) for name in names]
    asked += [("feed",), ("feed", "--all"), ("feed", other), ("thread", post), ("profile", "show", other)]
    asked += [("profile",), ("account", "list"), ("account", "show", other), ("account", "show", "nobody" + WORDS)]
    asked += [("account", "show", long), ("store", "withheld"), ("thread", held), ("status",), ("id",), ("doctor",)]
    asked += [("feed", WORDS), ("store", "verify"), ("graph", "stats"), ("post", "--as", WORDS, "x"), (WORDS,)]
    said = 0
    for words in asked:
        for form in ((), ("--json",)):
            ran = banyan("--home", home, *words, *form)
            assert not harmful(ran.out + ran.err), (words, form, ran)
            said += "2J" in ran.out
    assert said > 20


async def test_the_goodbye_of_a_peer_is_logged_harmlessly(home: Path) -> None:
    log = home.with_suffix(".log")
    with node_up(home, "--log-format", "console") as node:
        address = node.call("id")["addresses"][0]
        for number, said in enumerate(HOSTILE):
            config = EdgeConfig(identity_seed=bytes([number + 1]) * 32, listen=("/ip4/127.0.0.1/tcp/0",))
            with trio.fail_after(60):
                async with open_edge(config) as edge:
                    link = await edge.dial(address)
                    await link.send([encode_message(Bye(f"{said} number {number}".encode()))])
                    while f"number {number}" not in log.read_text("utf-8"):
                        await trio.sleep(0.05)
    assert not harmful(log.read_text("utf-8"))
