"""What a person does: write, answer, react, follow. Each is one signed entry, durable before the command returns."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session, put_all
from banyan_cli.declare import Fields, Parser, Resolver, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import By, Undo, Uri, some_account
from banyan_node.terminal_escape import plain
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console


Words = Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")]
Lang = Annotated[str | None, typer.Option(help="The text's language, such as vi or en-GB.")]
Mention = Annotated[
    list[str] | None,
    typer.Option(metavar="ACCOUNT", help="Who is to notice it; may be given again.", autocompletion=some_account),
]
Warn = Annotated[str | None, typer.Option(help="Shown instead, until the reader asks for the text.")]
WHOM = "everybody|followers|mentioned|nobody"
Answers = Annotated[str | None, typer.Option(metavar=WHOM, help="Who may answer: for the whole conversation.")]
Quotes = Annotated[str | None, typer.Option(metavar=WHOM, help="Who may quote it.")]
Reposts = Annotated[str | None, typer.Option(metavar=WHOM, help="Who may repost it.")]
Unlisted = Annotated[bool, typer.Option("--unlisted", help="For followers; in no public timeline, tag or search.")]
File = Annotated[
    list[str] | None, typer.Option(metavar="FILE", help="A picture, film, sound or captions; may be given again.")
]
Alt = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="What the picture shows; of captions, their language. One a --media."),
]


@root.command()
def post(
    s: Session,
    text: Words,
    lang: Lang = None,
    mention: Mention = None,
    warning: Warn = None,
    unlisted: Unlisted = False,
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="Say it in a group that you are in.")] = None,
    urgent: Annotated[
        bool, typer.Option("--urgent", help="For official channels: those who follow you are told of it.")
    ] = False,
    option: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Of a poll; give two at least.")] = None,
    several: Annotated[bool, typer.Option("--several", help="One may vote for several options.")] = False,
    closes: Annotated[
        int | None, typer.Option(metavar="HOURS", min=1, help="The poll closes then; else after a day.")
    ] = None,
    answers: Answers = None,
    quotes: Quotes = None,
    reposts: Reposts = None,
    media: File = None,
    alt: Alt = None,
    by: By = None,
) -> None:
    """Say something, or ask it with a poll."""
    said = _said(s, text, lang, mention, warning, unlisted, media, alt, by)
    if not option and (several or closes is not None):
        raise BadInput("--several and --closes are of a poll: name its options with --option.")
    said["urgency"], said["policy"] = "urgent" if urgent else None, _policy(answers, quotes, reposts)
    if group is not None:
        said["group"] = refs.group(s, group, by)
    if option:
        closes_ms = int(time.time() * 1000 + (closes or 24) * 3_600_000)
        said["poll"] = {"options": option, "closes_ms": closes_ms, "choices": "several" if several else "one"}
    _posted(s, s.call("post", **said), "Posted")


def _answer(method: str, about: str, done: str) -> None:
    def command(
        s: Session,
        uri: Uri,
        text: Words,
        lang: Lang = None,
        mention: Mention = None,
        warning: Warn = None,
        unlisted: Unlisted = False,
        answers: Answers = None,
        quotes: Quotes = None,
        reposts: Reposts = None,
        media: File = None,
        alt: Alt = None,
        by: By = None,
    ) -> None:
        said = _said(s, text, lang, mention, warning, unlisted, media, alt, by)
        policy = _policy(answers, quotes, reposts)
        _posted(s, s.call(method, uri=refs.post(s, uri), policy=policy, **said), done)

    command.__doc__ = about
    root.command(method)(command)


_answer("reply", "Answer a post.", "Answered")
_answer("quote", "Show a post to your followers, with words of your own.", "Quoted")


@root.command()
def edit(
    s: Session,
    uri: Uri,
    text: Annotated[
        str | None, typer.Argument(help="What it says; - reads standard input. Default: as before.")
    ] = None,
    answers: Answers = None,
    quotes: Quotes = None,
    reposts: Reposts = None,
) -> None:
    """Change what a post of yours says, or who may answer, quote and repost it."""
    said, policy = None if text is None else text_given(text), _policy(answers, quotes, reposts)
    if said is None and policy is None:
        raise BadInput("Say what changes: the text, or --answers, --quotes or --reposts.")
    _posted(s, s.call("edit", uri=refs.post(s, uri), text=said, policy=policy), "Edited")


@root.act("delete")
def delete(answer: Fields, uri: Uri) -> str:
    """Delete a post of yours, for good. Answers to it stay."""
    kept = answer.get("answers") or 0
    they = "1 answer to it stays" if kept == 1 else f"{kept:,} answers to it stay"
    others = f" {they}, and the thread says that you deleted the post above." if kept else ""
    return f"Deleted {refs.short(answer['uri'])}.{others}"


@root.act("pin", "Pinned to your profile.", undone="No longer pinned.")
def pin(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pin a post of yours to your profile."""


@root.act("thread.hide", "Hidden, and still on the page of its author.", undone="Shown again.")
def hide(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Hide an answer to you from the conversation, or a quote of you, for everybody."""


def _emoji(text: str) -> str:
    if not text.strip():
        raise BadInput("The emoji is empty; give one, such as 👍.")
    return text.strip()


@root.act("react", "Reacted with {given[emoji]}.")
def react(
    uri: Uri,
    emoji: Annotated[str, typer.Argument(help="Such as 👍 or ❤️."), Parser(_emoji)],
    undo: Undo = False,
    by: By = None,
) -> None:
    """Answer a post with an emoji."""


@root.command()
def vote(
    s: Session,
    uri: Uri,
    options: Annotated[
        list[int] | None, typer.Argument(metavar="NUMBER...", min=1, help="Of the options, the first is 1.")
    ] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """Vote in the poll of a post, or change your vote; everybody can see it."""
    from banyan_cli.show.feed import poll

    if options and undo:
        raise BadInput("--undo takes the whole vote back; leave the numbers out.")
    if not options and not undo:
        raise BadInput("No option is given; name one by its number, such as 1.")
    numbers = [number - 1 for number in options or ()]
    answer = s.call("vote", uri=refs.post(s, uri), options=numbers, undo=undo, by=by)
    s.out.done(answer, "\n".join(["Taken back." if undo else "Voted.", *poll(answer["poll"])]))


@root.act("repost", "Reposted.")
def repost(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pass a post on as it is."""


def _posted(s: Session, answer: dict[str, Any], done: str) -> None:
    refs.note(s.home, posts=[answer])
    s.out.done(answer, f"{done}: {refs.short(answer['uri'])}")
    if answer["clock"]:
        s.out.note(f"Others may take it later only, or see a wrong date: {answer['clock']}.")


def _policy(answers: str | None, quotes: str | None, reposts: str | None) -> dict[str, str] | None:
    """Raises BadInput."""
    given = {"answers": answers, "quotes": quotes, "reposts": reposts}
    for act, who in given.items():
        if who is not None and who not in WHOM.split("|"):
            raise BadInput(f"--{act} takes {', '.join(WHOM.split('|')[:-1])} or nobody; not '{who[:60]}'.")
    return {act: who for act, who in given.items() if who is not None} or None


def _said(
    s: Session,
    text: str,
    lang: str | None,
    mention: list[str] | None,
    warning: str | None,
    unlisted: bool,
    media: list[str] | None,
    alt: list[str] | None,
    by: str | None,
) -> dict[str, Any]:
    said = text_given(text, empty=bool(media))
    return {
        "text": said,
        "media": put_all(s, media, alt) if media or alt else None,
        "lang": lang,
        "mentions": [refs.account(s, who) for who in mention] if mention else None,
        "warning": warning,
        "audience": "unlisted" if unlisted else None,
        "by": by,
    }


def text_given(text: str, empty: bool = False) -> str:
    """empty: whether it may be."""
    if text == "-":
        try:
            text = sys.stdin.read().rstrip("\n")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"Standard input is not UTF-8 ({error}); convert it first, for example with iconv."
            ) from error
    if not text.strip() and not empty:
        raise BadInput("The text is empty; say something.")
    return text


# Posts that are not published yet, and those that are published later.


_draft = root.group("draft", "Posts that you have not published yet; only you can see them.")
At = Annotated[str | None, typer.Option(metavar="WHEN", help="Publish it then, such as 2026-12-24T18:00 (local time).")]


def _one(s: Session, which: str, by: str | None) -> dict[str, Any]:
    known: list[dict[str, Any]] = s.call("drafts", by=by)["drafts"]
    found = [row for row in known if row["id"].startswith(which.lower())]
    if len(found) != 1:
        many = f"{len(found)} drafts begin with '{which}'" if found else f"No draft begins with '{which}'"
        raise BadInput(f"{many}; `banyan draft ls` shows them.")
    return found[0]


def _when(text: str) -> int:
    try:
        at_ms = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"'{text}' is no time; write it as 2026-12-24T18:00.") from error
    if at_ms <= time.time() * 1000:
        raise BadInput(f"{text} is over; give a time to come.")
    return at_ms


Which = Annotated[
    str,
    typer.Argument(metavar="DRAFT", help="The beginning of its id."),
    Resolver(lambda s, which, by: _one(s, which, by)["id"]),
]


def _show(console: Console, rows: list[Any]) -> None:
    from rich.text import Text

    from banyan_cli.show import feed
    from banyan_cli.show.feed import text_of

    for row in rows:
        due = "" if row["due"] is None else f"  {dates.moment(row['due'], None):%Y-%m-%d %H:%M}"
        console.print(Text.assemble((f"{row['id'][: refs.SHORT]}{due}  ", "dim"), text_of(row["text"])))
        for item in row["media"]:
            console.print(Text.assemble("  ", feed.media_line(item)))
        if row["refused"]:
            console.print(Text(f"  It is not published as it is: {plain(row['refused'])}", "yellow"))
        if row["lacking"]:
            console.print(Text("  Not all of it is on this device: publish it on the one that wrote it.", "yellow"))


@_draft.command()
def draft_add(
    s: Session,
    text: Words,
    at: At = None,
    reply: Annotated[str | None, typer.Option(metavar="POST", help="The post that it answers.")] = None,
    quote: Annotated[str | None, typer.Option(metavar="POST", help="The post that it quotes.")] = None,
    replace: Annotated[
        str | None,
        typer.Option(metavar="DRAFT", help="The draft that this replaces; without --media its pictures stay."),
    ] = None,
    media: File = None,
    alt: Alt = None,
    lang: Lang = None,
    warning: Warn = None,
    unlisted: Unlisted = False,
    by: By = None,
) -> None:
    """Keep a post, to publish it later."""
    before = None if replace is None else _one(s, replace, by)
    items = put_all(s, media, alt)
    if before is not None and not items:
        items = [{"blob": one["blob"], "description": one["description"]} for one in before["media"]]
    answer = s.call(
        "draft.set",
        text=text_given(text, empty=bool(items)),
        media=items or None,
        id=None if before is None else before["id"],
        reply=None if reply is None else refs.post(s, reply),
        quote=None if quote is None else refs.post(s, quote),
        lang=lang,
        warning=warning,
        audience="unlisted" if unlisted else None,
        due=None if at is None else _when(at),
        by=by,
    )
    later = "it is published then" if at else "`banyan draft publish` publishes it"
    s.out.done(answer, f"Kept: {answer['id'][: refs.SHORT]}; {later}.")


@_draft.rows("drafts", _show, "You have no drafts: `banyan draft add TEXT`.", field="drafts")
def draft_ls(by: By = None) -> None:
    """Your drafts, those with a time first."""


@_draft.act("draft.publish", "Posted: {short}", seen="posts")
def draft_publish(id: Which, by: By = None) -> None:
    """Publish a draft now."""


@_draft.act("draft.drop", "Dropped.")
def draft_drop(id: Which, by: By = None) -> None:
    """Throw a draft away."""
