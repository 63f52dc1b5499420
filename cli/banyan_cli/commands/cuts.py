"""Cuts a writer off at the owner's last entry, takes an account back with its words, and shows what its writers did.

What would come back and go is shown before the question, and nothing is changed until it is answered.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated, Any

import typer

from banyan_cli import paper, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.accounts import (
    KEY,
    RECOVERY,
    Account,
    Incomplete,
    Sure,
    account_commands,
    confirm,
    granted,
    until_ms,
    which,
)
from banyan_cli.commands.keys import are_renewed, renew_master
from banyan_cli.errors import BadInput
from banyan_cli.parameters import argument, some_writer
from banyan_cli.show.tables import count

After = Annotated[
    list[str] | None,
    typer.Option(
        metavar="POST|TIME",
        help="Your last post there, its entry in `account activity`, or a time (ISO 8601, UTC): nothing later counts, "
        "deletions neither. May be repeated, a post for each log.",
    ),
]
LOOKED_AT = 1_000
"""Entries among which a short form is looked for."""


@account_commands.command("activity")
def activity(
    s: Session,
    writer: Annotated[str | None, argument("A writer's key or its beginning; all if left out.", some_writer)] = None,
    account: Account = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=LOOKED_AT, help="How many.")] = 20,
) -> None:
    """What the writers of an account did lately, with a mark where a thief may have been at work."""
    from banyan_cli.show.status import activity as shown

    who = which(s, account)
    key = None if writer is None else granted(s.call("account.show", account=who), writer)
    rows = s.call("account.activity", account=who, writer=key, limit=limit)["entries"]
    s.out.answers(rows, shown, "Nothing of it is held here.")


@account_commands.command("cut")
def cut(
    s: Session,
    writer: Annotated[
        str | None, argument("The writer's key or its beginning; when left out it is asked for.", some_writer)
    ] = None,
    account: Account = None,
    after: After = None,
    incomplete: Incomplete = False,
    yes: Sure = False,
) -> None:
    """Take a writer's grant away, for a lost or stolen device: nothing that it writes later counts.

    What it wrote so far stays, or with --after what it wrote until then: so what a thief deleted comes back. If the key
    is this machine's too, as in a copied home, this machine gets new keys first, and the recovery words are asked for.
    """
    who, here = which(s, account), str(s.call("id")["writer"])
    value = s.call("account.show", account=who)
    key = _to_cut(s, value, here) if writer is None else granted(value, writer)
    if key == here and value["keys"][0]["held"] and (after is not None or not yes):
        question = (
            f"Cut THIS NODE, writer {key[:16]}? Whoever has this key has all keys of this home, so this machine gets "
            "other keys first, and the account is taken back with its recovery words."
        )
        confirm(s, question, yes)
        _take_back(s, value, None, None, [], after, False, incomplete, yes)
        return
    given = {"account": who, "writer": key, "incomplete": incomplete or None, **_points(s, who, [key], after, yes)}
    would = s.call("account.cut", **given, check=True)
    _show_changes(s, would["changes"])
    confirm(s, _cut_question(value, key, here, bool(given["after"] or given["after_ms"])), yes)
    answer = s.call("account.cut", **given)
    kept = ", ".join(f"log {k['log']} up to {k['length']:,} entries" for k in answer["keeps"]) or "nothing"
    s.out.done({**answer, "changes": would["changes"]}, f"Writer {key[:16]} is cut; kept: {kept}.")


def _to_cut(s: Session, value: dict[str, Any], here: str) -> str:
    """The writer that was lost, where none was named: the only other one, or the one that is chosen."""
    gone = {cut["writer"] for cut in value["cuts"]}
    others = sorted({g["writer"] for g in value["grants"]} - gone - {here})
    if not others:
        raise BadInput(
            f"Only this node's writer ({here[:16]}) may write in the account; there is none to cut. If a machine with "
            "the same backup words, or a copy of this home, was stolen: `banyan account recover`."
        )
    if len(others) == 1:
        return str(others[0])
    if s.out.json or not sys.stdin.isatty():
        raise BadInput(f"Several writers may write in the account: {refs.listed(others)}; say which one to cut.")
    for key in others:
        s.out.note(f"  {key[:16]}  {_wrote(value, key)}")
    return granted(value, str(typer.prompt("Which writer was lost (its first digits)", err=True)))


def _cut_question(value: dict[str, Any], key: str, here: str, ends: bool) -> str:
    itself = "THIS NODE, " if key == here else ""
    stays = "What it wrote later counts no more." if ends else "What it wrote so far stays."
    return (
        f"Cut {itself}writer {key[:16]} for good ({_wrote(value, key)})? {stays} Only the account's recovery key "
        "undoes it."
    )


def _wrote(value: dict[str, Any], key: str) -> str:
    lengths = [log["length"] for log in value["logs"] if log["writer"] == key and log["log"]]
    entries = "1 entry" if sum(lengths) == 1 else f"{sum(lengths):,} entries"
    return f"{entries} in {count(len(lengths), 'log')}"


def _points(s: Session, who: str, writers: list[str], after: list[str] | None, yes: bool) -> dict[str, Any]:
    """The parameters that say where the cut is. Somebody at a terminal who did not say so is shown what the writers did
    lately, and asked."""
    if after is None and writers and not (yes or s.out.json) and sys.stdin.isatty():
        after = _asked(s, who, writers)
    named, times = list[str](), list[int]()
    for text in after or []:
        if len(text) >= len("2027-01-31") and text[4] == text[7] == "-":
            times.append(until_ms(text, "--after"))
        else:
            named.append(_entry(s, who, text))
    if len(times) > 1:
        raise BadInput("--after was given two times of day; give one, and posts for single logs.")
    return {"after": named or None, "after_ms": times[0] if times else None}


def _asked(s: Session, who: str, writers: list[str]) -> list[str]:
    from banyan_cli.show.status import activity as shown

    rows = [row for key in writers for row in s.call("account.activity", account=who, writer=key, limit=15)["entries"]]
    if not rows:
        return []
    shown(s.out.notes, rows)
    question = "Your last entry there, or a time: nothing later will count (Enter: all of it stays)"
    return [text] if (text := str(typer.prompt(question, default="", show_default=False, err=True)).strip()) else []


def _entry(s: Session, who: str, text: str) -> str:
    """An entry or a post of the account, by any digits that fit one only."""
    wanted = text.strip().rstrip("…").lower()
    if wanted.startswith("did:") or len(wanted) == KEY:
        return wanted if len(wanted) == KEY else refs.post(s, text)
    rows = s.call("account.activity", account=who, limit=LOOKED_AT)["entries"]
    found = {row["entry"] for row in rows if len(wanted) >= refs.LEAST and row["entry"].startswith(wanted)}
    found |= (
        set(refs.fitting({row["uri"] for row in rows if row["uri"]}, wanted)) if len(wanted) >= refs.LEAST else set()
    )
    if len(found) == 1:
        return str(found.pop())
    if found:
        raise BadInput(f"'{text}' fits {refs.listed(sorted(found))}; give more digits.")
    return refs.post(s, f"{who}/{wanted}")


def _show_changes(s: Session, changes: dict[str, Any] | None) -> None:
    """What comes back and goes, before the question."""
    if changes is None:
        return
    for name, what in (("back", "back"), ("gone", "shown no more")):
        for row in changes[f"{name}_posts"]:
            s.out.note(f"  {what}: {refs.short(row['uri'])}  {' '.join(row['text'].split())[:70]}")
        if changes[name]:
            s.out.note(f"{count(changes[name], 'post')} {what}.")


@account_commands.command("recover")
def recover(
    s: Session,
    account: Account = None,
    words_file: paper.WordsFile = None,
    undo: Annotated[
        int | None, typer.Option(min=1, help="Undo this entry and later ones; numbers as in `account show`.")
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A writer that is not to be cut; may be repeated.")] = None,
    after: After = None,
    own: Annotated[bool, typer.Option("--own", help="Write as this account from now on.")] = False,
    incomplete: Incomplete = False,
    yes: Sure = False,
) -> None:
    """Take an account back with its 24 recovery words: a new root key, made here, and every other writer cut.

    The words are not those of `banyan keys backup`. With --after, what a thief wrote and deleted later is undone, in
    the same step. A home that has the root key gets other keys first, as by `banyan keys renew`, because a copy of it
    could take the account back; its node must be stopped. In another home, let the account come from peers or from an
    archive first. A recovery key that is kept here needs neither words nor new keys.
    """
    shown = s.call("account.show", account=which(s, account), undo=undo)
    kept = [granted(shown, writer) for writer in keep or []]
    _take_back(s, shown, words_file, undo, kept, after, own, incomplete, yes)


def _take_back(
    s: Session,
    shown: dict[str, Any],
    words_file: Any,
    undo: int | None,
    kept: list[str],
    after: list[str] | None,
    own: bool,
    incomplete: bool,
    yes: bool,
) -> None:
    """shown: the account, without what is to be undone."""
    key, who, seeds = shown["keys"][RECOVERY], shown["account"], dict[str, Any]()
    if not key["held"]:
        seeds = _seeds(paper.words_from(words_file, "The 24 recovery words of this account"), key)
    elif words_file is not None:
        raise BadInput("The recovery key of this account is kept on this node; leave --words-file away.")
    gone = {cut["writer"] for cut in shown["cuts"]}
    others = sorted({grant["writer"] for grant in shown["grants"]} - gone - set(kept))
    params = {"account": who, "undo": undo, "keep": kept or None, "own": own or None, "incomplete": incomplete or None}
    stopped = bool(seeds) and are_renewed(s)
    if stopped and not shown["renewed"]:
        s.home.renewing.unlink()
        s.out.done(shown, "The root key is yours again: the same command did it before it was stopped.")
        return
    if stopped or (seeds and shown["hosted"] and not shown["renewed"]):
        if s.node() is not None:
            raise BadInput(
                "A copy of this home could take the account back, so this machine needs other keys first: `banyan "
                "down`, then this command again, which makes them."
            )
        if not stopped:
            confirm(
                s, "Give this machine other keys first, because a copy of this home could take the account back?", yes
            )
        renew_master(s)
        s.out.note(f"This machine has other keys; the old ones are in {s.home.old_keys}.")
    else:
        others = [writer for writer in others if writer != s.call("id")["writer"]]
    params.update(_points(s, who, others, after, yes))
    would = s.call("account.recover", **params, **seeds, check=True)
    _show_changes(s, would["changes"])
    confirm(s, _recovery_question(would["cut"]), yes)
    answer = s.call("account.recover", **params, **seeds)
    s.home.renewing.unlink(missing_ok=True)
    s.out.done(
        {**answer, "changes": would["changes"]},
        f"The root key is yours again; cut: {count(len(answer['cut']), 'writer')}.",
    )
    for writer in answer["uncut"]:
        s.out.note(
            "Not cut yet, since what it wrote may not all be here: once `banyan status` has the account complete, "
            f"`banyan account cut {writer} --account {who} --after POST`, with your last post there: what it deletes "
            "until then comes back."
        )
    if answer["cut"] and not (params["after"] or params["after_ms"]):
        s.out.note("What those writers wrote until now stays; `banyan account drop` takes away what a thief wrote.")


def _seeds(words: str, key: dict[str, Any]) -> dict[str, Any]:
    """The recovery key, and the next one, for the case that a thief has used the first."""
    from banyan_node.home.recovery import rotation, seed_for
    from banyan_node.operator_errors import WrongWords

    found: dict[str, Any] = {"seed": seed_for(words, bytes.fromhex(key["current"])).hex()}
    with suppress(WrongWords):
        later, following = rotation(words, bytes.fromhex(key["next"]))
        found |= {"later": later.hex(), "following": following.hex()}
    return found


def _recovery_question(cut: list[str]) -> str:
    listed = ", ".join(sorted(writer[:16] for writer in cut)) or "none"
    return f"Install a new root key, and cut every writer but this node's and those kept (now: {listed})?"
