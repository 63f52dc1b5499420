"""The store by itself: is it sound, how large is it, can it be smaller; what it withholds, drops and erases."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import errors, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.accounts import Sure, account_commands
from banyan_cli.declare import Fields, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import POST, Who, argument, some_account, some_post
from banyan_cli.show.tables import Row, ago, columns, count, facts, name_of, size
from banyan_node.terminal_escape import plain
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

LOOK_SECONDS, SAY_SECONDS = 0.25, 10.0
"""How often a running node is asked how far it is, and how often that is said where there is no terminal."""
_store = root.group(
    "store",
    "The store: verify, repair, rebuild, compact, stats, mend; withhold, withheld, release; "
    "drop, dropped, undrop, erasures, erase",
)


@_store.command()
def store_stats(s: Session) -> None:
    """What the store holds."""
    found = s.call("store.stats")
    found["views"] = {row["view"]: row["percent"] for row in s.call("store.views")["views"]}
    s.out.answer(found, _show_stats)


def _show_stats(console: Console, value: Row) -> None:
    """How much of each view is there, in one line, and which local state."""

    local = ", ".join(f"{row['name']} {row['rows']:,} ({size(row['bytes'])})" for row in value["local"])
    said = ", ".join(name if percent == 100 else f"{name} {percent} %" for name, percent in value["views"].items())
    facts(console, {**value, "local": local, "views": said, "damaged": "; ".join(value["damaged"]) or "nothing"})


@_store.command()
def store_verify(s: Session) -> None:
    """Check every page, hash, link and signature, and every row of every view; name what differs, change nothing."""
    from banyan_cli.progress import waiting
    from banyan_web.door_store import damage_of

    with waiting(s.out.notes, "verifying"):
        answer = faults_at_rest(s) or s.call("store.verify")
        if (why := damage_of(s.home.door)) is not None:
            answer["problems"].append({"where": "the door", "sentence": why})
    s.out.answer(answer, _show_verify)
    if answer["problems"]:
        raise typer.Exit(errors.STORAGE)


def faults_at_rest(s: Session) -> Row | None:
    """What is wrong with the pages of a store at rest: it cannot be opened without danger until that is repaired."""
    if s.node() is not None:
        return None
    from banyan_node.upkeep.repair import page_faults
    from banyan_storage.check import PAGES
    from banyan_storage.errors import StoreLocked

    try:
        problems = [{"where": PAGES, "sentence": fault} for fault in page_faults(s.home)]
    except StoreLocked:  # a node that is starting, or another command: the call below waits for it
        return None
    return {"checked": 0, "unchecked": [], "problems": problems} if problems else None


def _show_verify(console: Console, value: Row) -> None:
    for problem in value["problems"]:
        console.print(f"{problem['where']}: {problem['sentence']}", soft_wrap=True)
    problems, unchecked = value["problems"], value["unchecked"]
    parts = ("views", "local state", "the door")
    of_views, local, door = (sum(problem["where"].startswith(of) for problem in problems) for of in parts)
    said = ["the store is sound"] if not problems else []
    if of_views:
        said.append(f"{count(of_views, 'problem')} of views; `banyan store rebuild` builds them again from the log")
    if local:
        said.append(
            f"{count(local, 'row')} that only this node has; `banyan store repair`, with the node stopped, takes "
            "them out and says what comes of each: hosted accounts stay, and so does what moderators hid"
        )
    if door:
        said.append("the door's file is damaged; `banyan store repair`, with the node stopped, sets it aside")
    if (others := len(problems) - of_views - local - door) > 0:
        said.append(
            f"{count(others, 'problem')}; `banyan store repair`, with the node stopped, keeps what can be proved, and "
            "peers are asked for the rest"
        )
    console.print(f"{value['checked']:,} entries checked: {'; '.join(said)}.")
    if unchecked:
        console.print(f"Not checked, for they are being built: {', '.join(unchecked)}.")


@_store.command()
def store_repair(
    s: Session,
    what_is_left: Annotated[
        bool, typer.Option("--what-is-left", help="Even if what was hidden may show, because no copy says what it was.")
    ] = False,
) -> None:
    """Repair a damaged store: keep what proves itself, make the rest again. Peers are then asked for what is lost."""
    from banyan_node.local import repair_local
    from banyan_web.door_store import LOST, damage_of, set_aside

    _refuse_while_running(s)
    if damage_of(s.home.door) is not None:
        set_aside(s.home.door)
        s.out.note(f"{s.home.door} was damaged and is now {s.home.door}-damaged, for you to delete. Lost are {LOST}.")
    done = repair_local(s.home, s.settings, s.out.note, what_is_left)
    value: Row = {"pages": len(done.pages), "rows_copied": done.rows, "dropped": done.found.gone}
    value |= {"parts": done.parts + done.found.parts, "checked": done.found.entries}
    value |= {"local_rows": len(done.local), "left": len(done.left)}
    s.out.answer(value, facts)
    for sentence in done.local:
        s.out.note(sentence)
    for problem in done.left:
        s.out.note(f"Still wrong: {problem.where}: {problem.sentence}")
    if done.left:
        s.out.note(
            "Go on with this home, or restore a copy of all of it: an archive (`banyan export`) has neither the "
            "accounts that are hosted here nor what moderators decided."
        )
        raise typer.Exit(errors.STORAGE)


def _refuse_while_running(s: Session) -> None:
    """For a command that needs the store for itself. Raises BadInput."""
    if s.node() is not None:
        raise BadInput("The node is running and has the store open; stop it with `banyan down`.")


@_store.command()
def store_mend(s: Session) -> None:
    """Drop what is wrong: entries, with all that stands on them, and content. `banyan up` then asks peers for it."""
    from banyan_node.local import mend_local

    _refuse_while_running(s)
    found = mend_local(s.home, s.settings, s.out.note)
    value = {"logs": found.logs, "checked": found.entries, "wrong_logs": found.wrong_logs, "dropped": found.gone}
    value |= {"heads": found.moved, "parts": found.parts}
    s.out.answer(value, facts)


@_store.command()
def store_rebuild(
    s: Session,
    view: Annotated[str | None, typer.Argument(help="Only this one, as `banyan store stats` names it.")] = None,
) -> None:
    """Build views again from the log, all or one. A node goes on serving; what needs the view says how far it is."""
    began = time.monotonic()
    built = _rebuild_at_rest(s, view) if s.node() is None else _rebuild_running(s, view)
    seconds = round(time.monotonic() - began, 1)
    s.out.done({"built": built, "seconds": seconds}, f"Built in {seconds} s: {', '.join(built)}.")


def _rebuild_at_rest(s: Session, view: str | None) -> list[str]:
    from banyan_node.local import VIEWS, rebuild_local

    if view is not None and view not in VIEWS:
        raise BadInput(f"There is no view '{view}'; there are {', '.join(VIEWS)}.")
    return rebuild_local(s.home, s.settings, [view] if view else VIEWS, s.out.note)


def _rebuild_running(s: Session, view: str | None) -> list[str]:
    from banyan_cli.progress import bar

    built: list[str] = s.call("store.rebuild", view=view)["rebuilding"]
    shown, said = 0, time.monotonic()
    with bar(s.out.notes, "building", 100) as advance:
        while True:
            rows = [row for row in s.call("store.views")["views"] if row["view"] in built]
            done = min(row["percent"] for row in rows)
            advance(done - shown)
            shown = done
            if all(row["built"] for row in rows):
                return built
            if not s.out.notes.is_terminal and time.monotonic() > said + SAY_SECONDS:
                said = time.monotonic()
                s.out.note(f"{done} % of {', '.join(built)} are built.")
            time.sleep(LOOK_SECONDS)


@_store.act("content.withhold")
def store_withhold(
    answer: Fields,
    uri: Annotated[str, argument("The post; the short form that a feed shows will do.", some_post, "POST"), POST],
    order: Annotated[str, typer.Option(help="What was ordered or decided; whoever asks for the content is told.")],
    basis: Annotated[str, typer.Option(help="The law or rule behind it.")] = "",
    scope: Annotated[str, typer.Option(help="Where it holds.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until released.")] = 0,
    erase: Annotated[bool, typer.Option("--erase", help="Keep no sealed copy: a release asks peers for it.")] = False,
) -> str:
    """Stop giving out a post's content, with a signed statement of why. Other nodes decide for themselves."""
    until = "its term ends or you release it" if days else "you release it"
    kept = f"A sealed copy stays here until {until}."
    gone = "No copy is kept here: a release asks peers for it, and if none has it, it is gone for good."
    return f"Withheld {refs.short(answer['uri'])}. {kept if answer['kept'] else gone}"


def _order(row: Row) -> str:
    return ". ".join(plain(text) for text in (row["order"], row["basis"], row["scope"]) if text)


_WITHHELD = columns(
    ("post", lambda row: refs.short(row["uri"])),
    ("by", lambda row: name_of(row["uri"].partition("/")[0], row["name"])),
    ("since#", lambda row: ago(row["since_ms"])),
    ("until", lambda row: ago(row["expires_ms"]) if row["expires_ms"] else "released"),
    ("order", _order),
)


@_store.rows("content.withheld", _WITHHELD, "Nothing is withheld here.", field="posts", seen="posts")
def store_withheld() -> None:
    """The posts that this node withholds, each with its order."""


@_store.act("content.release")
def store_release(
    answer: Fields, uri: Annotated[str, argument("The post that was withheld.", some_post, "POST"), POST]
) -> str:
    """Lift a withholding: the content is shown again, from the sealed copy that was kept, or else from peers."""
    asked = answer["released"] - answer["kept"]
    missing = f" {count(asked, 'write', 'writes')} of it had no copy here and must come from peers." if asked else ""
    return f"Released {refs.short(answer['uri'])}.{missing}"


@_store.act("clock.trust")
def store_trust_clock(answer: Fields) -> str:
    """Say that this machine's clock is right although it jumped, so that old content is forgotten as usual."""
    before = answer["doubted"]
    return f"The clock is trusted{f' again ({before})' if before else ''}."


@_store.act("store.drop")
def store_drop(answer: Fields, account: Who) -> str:
    """Erase an account from this node, which does not fetch it again. Other nodes decide for themselves."""
    return f"Dropped {answer['account']}: {count(answer['entries'], 'entry', 'entries')}."


def _show_ids(console: Console, ids: list[str]) -> None:
    console.print("\n".join(ids), soft_wrap=True)


@_store.rows("store.dropped", _show_ids, "Nothing is dropped here.", field="accounts")
def store_dropped() -> None:
    """The accounts that were dropped here."""


@_store.act("store.undrop", "{account} is not dropped any more.")
def store_undrop(account: Who) -> None:
    """Let a dropped account in again: it is fetched if somebody here follows it closely enough."""


@_store.command()
def store_compact(
    s: Session,
    to: Annotated[
        Path | None, typer.Option(help="Write a compacted copy there instead; works while a node runs.")
    ] = None,
) -> None:
    """Give the disk back what deleted content took."""
    from banyan_cli.progress import waiting
    from banyan_node.local import take_compacted

    if to is None and s.node() is not None:
        raise BadInput("The node is running and has the store open; stop it with `banyan down`, or say --to DIR.")
    folder = to.absolute() if to is not None else s.home.path / "store.compacted"
    if to is None and folder.exists():
        shutil.rmtree(folder)  # left by a run that was broken off before the files changed places
    with waiting(s.out.notes, "compacting"):
        answer = s.call("store.compact", path=str(folder))
    if to is None:
        s.close()
        take_compacted(s.home, folder)
        answer["path"] = str(s.home.store)
    s.out.answer(answer, facts)


# Erasing an account from this node's files, and how far that is.

Name = Annotated[str, argument("An account hosted here: name or id.", some_account, "NAME")]


_PEERS = {
    "erased": "says that it is erased",
    "waits": "erases it when its 30 days are over",
    "shown": "shows it to its operator",
    "unknown": "says nothing of it",
}


def _said(s: Session, answer: dict[str, Any]) -> str:
    if answer["erased_ms"] is not None:
        return f"It is gone from every file of this node since {_day(answer['erased_ms'])}."
    if answer["state"] == "shown":
        return f"It asks to be erased: `banyan store erase {answer['account']}` obeys{_until(answer['until_ms'])}."
    if answer["until_ms"] > time.time() * 1000:
        return f"It is still here; a running node erases it by {_day(answer['until_ms'])}."
    due, doubted = f"It is still here, and due since {_day(answer['until_ms'])}", s.call("status")["clock"]["doubted"]
    if doubted is None:
        return f"{due}: a running node erases it now."
    return (
        f"{due}: it waits because {doubted}. If the clock is right, `banyan store trust-clock` lets it go on at once."
    )


def _until(at_ms: int | None) -> str:
    return "" if at_ms is None else f", from {_day(at_ms)} on"


def _day(at_ms: int) -> str:
    return f"{dates.moment(at_ms, None):%Y-%m-%d}"


@account_commands.command()
def erase(
    s: Session,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, such as the request of its owner.")],
    days: Annotated[int, typer.Option(min=0, max=90, help="Within how many days all is gone; 0: at once.")] = 0,
    confirm: Annotated[str | None, typer.Option(help="The name typed again; else it is asked for.")] = None,
    yes: Sure = False,
) -> None:
    """Close a hosted account and erase all that this node holds of it, from every file; its control log stays."""
    s.sure = yes
    account = refs.account(s, name)
    if confirm is None:
        if s.out.json or not sys.stdin.isatty():
            raise BadInput("Type the name of the account again with --confirm NAME.")
        confirm = typer.prompt(f"All of {name} goes from this node's files. Type its name again", err=True)
    answer = s.call("account.erase", account=account, confirm=confirm, reason=reason, days=days)
    from banyan_cli.commands.logins import log_out

    log_out(s, answer["account"])
    s.out.done(answer, f"The account is closed. {_said(s, answer)}")
    s.out.note(
        f"`banyan account erasure {answer['account']}` says how far that is, here and at peers. "
        "Backups and archives keep what they have."
    )


@account_commands.command()
def erasure(
    s: Session,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back, here and at peers, if it has not begun.")] = False,
) -> None:
    """How far the erasing of an account is, here and at peers."""
    answer = s.call("account.unerase" if undo else "account.erasure", account=refs.account(s, name))
    s.out.done(answer, "It is not to be erased any more; it stays closed." if undo else _said(s, answer))
    for peer in () if undo else answer["peers"]:
        s.out.note(f"{peer['peer']}: {_PEERS[peer['state']]}{_until(peer['until_ms'])}, on {_day(peer['at_ms'])}")


@_store.command("erase")
def obey(
    s: Session,
    account: Annotated[str, typer.Argument(help="An account that asks to be erased: its id or the beginning of it.")],
) -> None:
    """Obey an account that asks to be erased: it goes from this node's files when its 30 days are over."""
    answer = s.call("store.erase", account=refs.account(s, account))
    s.out.done(answer, _said(s, answer))


@_store.command("erasures")
def erasures(s: Session) -> None:
    """The accounts that ask to be erased, and what this node does about each."""

    def show(console: Console, rows: list[Row]) -> None:
        for row in rows:
            console.print(f"{row['account']}  {_said(s, row)}", soft_wrap=True)

    s.out.answers(s.call("store.erasures")["erasures"], show, "No account asks to be erased.")
