"""What a person does: write, answer, react, follow. Each is one signed entry, durable before the command returns."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session, put_all
from banyan_cli.declare import root
from banyan_cli.errors import BadInput

By = Annotated[
    str | None,
    typer.Option(
        "--as", help="Which account hosted here acts; yours when left out.", autocompletion=completion.accounts
    ),
]
Uri = Annotated[
    str,
    typer.Argument(
        metavar="POST", help="A post: its digits as shown, or its address.", autocompletion=completion.posts
    ),
]
Words = Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")]
Lang = Annotated[str | None, typer.Option(help="The text's language, such as vi or en-GB.")]
Mention = Annotated[
    list[str] | None,
    typer.Option(
        "--mention",
        metavar="ACCOUNT",
        help="Who is to notice it; may be given again.",
        autocompletion=completion.accounts,
    ),
]
Warn = Annotated[str | None, typer.Option("--warning", help="Shown instead, until the reader asks for the text.")]
WHOM = "everybody|followers|mentioned|nobody"
Answers = Annotated[
    str | None, typer.Option("--answers", metavar=WHOM, help="Who may answer: for the whole conversation.")
]
Quotes = Annotated[str | None, typer.Option("--quotes", metavar=WHOM, help="Who may quote it.")]
Reposts = Annotated[str | None, typer.Option("--reposts", metavar=WHOM, help="Who may repost it.")]
Unlisted = Annotated[bool, typer.Option("--unlisted", help="For followers; in no public timeline, tag or search.")]
File = Annotated[
    list[str] | None,
    typer.Option("--media", metavar="FILE", help="A picture, film, sound or captions; may be given again."),
]
Alt = Annotated[
    list[str] | None,
    typer.Option("--alt", metavar="TEXT", help="What the picture shows; of captions, their language. One a --media."),
]
Who = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="An account's id or its beginning, or a name.", autocompletion=completion.accounts
    ),
]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]


@root.command()
def post(
    s: Session,
    text: Words,
    lang: Lang = None,
    mention: Mention = None,
    warning: Warn = None,
    unlisted: Unlisted = False,
    group: Annotated[
        str | None, typer.Option("--group", metavar="GROUP", help="Say it in a group that you are in.")
    ] = None,
    urgent: Annotated[
        bool, typer.Option("--urgent", help="For official channels: those who follow you are told of it.")
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option("--option", metavar="TEXT", help="Of a poll; give two at least.")
    ] = None,
    several: Annotated[bool, typer.Option("--several", help="One may vote for several options.")] = False,
    closes: Annotated[
        int | None, typer.Option("--closes", metavar="HOURS", min=1, help="The poll closes then; else after a day.")
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


@root.command()
def reply(
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
    """Answer a post."""
    said = _said(s, text, lang, mention, warning, unlisted, media, alt, by)
    policy = _policy(answers, quotes, reposts)
    _posted(s, s.call("reply", uri=refs.post(s, uri), policy=policy, **said), "Answered")


@root.command()
def quote(
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
    """Show a post to your followers, with words of your own."""
    said = _said(s, text, lang, mention, warning, unlisted, media, alt, by)
    policy = _policy(answers, quotes, reposts)
    _posted(s, s.call("quote", uri=refs.post(s, uri), policy=policy, **said), "Quoted")


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


@root.command()
def delete(s: Session, uri: Uri) -> None:
    """Delete a post of yours, for good. Answers to it stay."""
    answer = s.call("delete", uri=refs.post(s, uri))
    kept = answer.get("answers") or 0
    they = "1 answer to it stays" if kept == 1 else f"{kept:,} answers to it stay"
    others = f" {they}, and the thread says that you deleted the post above." if kept else ""
    s.out.done(answer, f"Deleted {refs.short(answer['uri'])}.{others}")


@root.command()
def pin(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pin a post of yours to your profile."""
    answer = s.call("pin", uri=refs.post(s, uri), undo=undo, by=by)
    s.out.done(answer, "No longer pinned." if undo else "Pinned to your profile.")


@root.command()
def hide(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Hide an answer to you from the conversation, or a quote of you, for everybody."""
    answer = s.call("thread.hide", uri=refs.post(s, uri), undo=undo, by=by)
    s.out.done(answer, "Shown again." if undo else "Hidden, and still on the page of its author.")


@root.command()
def react(
    s: Session,
    uri: Uri,
    emoji: Annotated[str, typer.Argument(help="Such as 👍 or ❤️.")],
    undo: Undo = False,
    by: By = None,
) -> None:
    """Answer a post with an emoji."""
    if not emoji.strip():
        raise BadInput("The emoji is empty; give one, such as 👍.")
    answer = s.call("react", uri=refs.post(s, uri), emoji=emoji.strip(), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else f"Reacted with {emoji.strip()}.")


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
    s.out.done(answer, "\n".join(["Taken back." if undo else "Voted.", *poll(answer["poll"], int(time.time() * 1000))]))


@root.command()
def repost(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Pass a post on as it is."""
    answer = s.call("repost", uri=refs.post(s, uri), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else "Reposted.")


@root.command()
def follow(s: Session, account: Who, by: By = None) -> None:
    """Show an account's posts in your feed, and hold them here."""
    whom = refs.account(s, account)
    answer = s.call("follow", account=whom, by=by)
    asked = "Asked to follow {}: it is locked, and has to accept that."
    done = asked if answer["waits"] else "Following {}."
    gone = " It was dropped here: `banyan store undrop {}` lets it in again." if answer.get("dropped") else ""
    s.out.done(answer, (done + gone).format(*[answer["account"]] * 2))


@root.command()
def unfollow(s: Session, account: Who, by: By = None) -> None:
    """Stop following."""
    _relate(s, "unfollow", account, by, None, "No longer following {}.")


@root.command()
def block(s: Session, account: Who, undo: Undo = False, by: By = None) -> None:
    """Block an account, and stop following it; everybody can see that you do."""
    _relate(s, "block", account, by, undo, "No longer blocking {}." if undo else "Blocking {}.")


@root.command()
def mute(
    s: Session,
    account: Who,
    undo: Undo = False,
    hours: Annotated[
        float | None, typer.Option(min=0, max=876_000, help="For so long; for good when left out.")
    ] = None,
    by: By = None,
) -> None:
    """Hide all that an account says from you. Only you can see that you do."""
    until = None if hours is None else int(time.time() * 1000 + hours * 3_600_000)
    answer = s.call("mute", account=refs.account(s, account), undo=undo, until=until, by=by)
    s.out.done(answer, ("No longer muting {}." if undo else "Muting {}.").format(answer["account"]))


def _relate(s: Session, method: str, account: str, by: str | None, undo: bool | None, sentence: str) -> None:
    whom = refs.account(s, account)
    answer = s.call(method, account=whom, undo=undo, by=by)
    s.out.done(answer, sentence.format(answer.get("account", whom)))


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
