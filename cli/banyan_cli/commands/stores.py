"""The store by itself: is it sound, how large is it, and can it be smaller."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, errors, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.show.phrases import count, size

if TYPE_CHECKING:
    from rich.console import Console

LOOK_SECONDS, SAY_SECONDS = 0.25, 10.0
"""How often a running node is asked how far it is, and how often that is said where there is no terminal."""
store_commands = root.group(
    "store",
    "The store: verify, repair, rebuild, compact, stats, mend; withhold, withheld, release; "
    "drop, dropped, undrop, erasures, erase",
)


@store_commands.command("stats")
def stats(s: Session) -> None:
    """What the store holds."""
    found = s.call("store.stats")
    found["views"] = {row["view"]: row["percent"] for row in s.call("store.views")["views"]}
    s.out.answer(found, _show_stats)


def _show_stats(console: Console, value: dict[str, Any]) -> None:
    """How much of each view is there, in one line, and which local state."""
    from banyan_cli.show.text_tables import facts

    local = ", ".join(f"{row['name']} {row['rows']:,} ({size(row['bytes'])})" for row in value["local"])
    said = ", ".join(name if percent == 100 else f"{name} {percent} %" for name, percent in value["views"].items())
    facts(console, {**value, "local": local, "views": said, "damaged": "; ".join(value["damaged"]) or "nothing"})


@store_commands.command("verify")
def verify(s: Session) -> None:
    """Check every page, hash, link and signature, and every row of every view; name what differs, change nothing."""
    from banyan_cli.progress import waiting

    with waiting(s.out.notes, "verifying"):
        answer = _faults_at_rest(s) or s.call("store.verify")
    s.out.answer(answer, _show_verify)
    if answer["problems"]:
        raise typer.Exit(errors.STORAGE)


def _faults_at_rest(s: Session) -> dict[str, Any] | None:
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


def _show_verify(console: Console, value: dict[str, Any]) -> None:
    for problem in value["problems"]:
        console.print(f"{problem['where']}: {problem['sentence']}", markup=False, soft_wrap=True)
    problems, unchecked = value["problems"], value["unchecked"]
    of_views, local = (sum(problem["where"].startswith(of) for problem in problems) for of in ("views", "local state"))
    said = ["the store is sound"] if not problems else []
    if of_views:
        said.append(f"{count(of_views, 'problem')} of views; `banyan store rebuild` builds them again from the log")
    if local:
        said.append(
            f"{count(local, 'row')} that only this node has; `banyan store repair`, with the node stopped, takes "
            "them out and says what comes of each: hosted accounts stay, and so does what moderators hid"
        )
    if (others := len(problems) - of_views - local) > 0:
        said.append(
            f"{count(others, 'problem')}; `banyan store repair`, with the node stopped, keeps what can be proved, and "
            "peers are asked for the rest"
        )
    console.print(f"{value['checked']:,} entries checked: {'; '.join(said)}.")
    if unchecked:
        console.print(f"Not checked, for they are being built: {', '.join(unchecked)}.")


@store_commands.command("repair")
def repair(s: Session) -> None:
    """Repair a damaged store: keep what proves itself, make the rest again. Peers are then asked for what is lost."""
    from banyan_cli.show.text_tables import facts
    from banyan_node.local import repair_local

    _refuse_while_running(s)
    done = repair_local(s.home, s.settings, s.out.note)
    value: dict[str, Any] = {"pages": len(done.pages), "rows_copied": done.rows, "dropped": done.found.gone}
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
        raise errors.BadInput("The node is running and has the store open; stop it with `banyan down`.")


@store_commands.command("mend")
def mend(s: Session) -> None:
    """Drop what is wrong: entries, with all that stands on them, and content. `banyan up` then asks peers for it."""
    from banyan_cli.show.text_tables import facts
    from banyan_node.local import mend_local

    _refuse_while_running(s)
    found = mend_local(s.home, s.settings, s.out.note)
    value = {"logs": found.logs, "checked": found.entries, "wrong_logs": found.wrong_logs, "dropped": found.gone}
    value |= {"heads": found.moved, "parts": found.parts}
    s.out.answer(value, facts)


@store_commands.command("rebuild")
def rebuild(
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
        raise errors.BadInput(f"There is no view '{view}'; there are {', '.join(VIEWS)}.")
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


@store_commands.command("withhold")
def withhold(
    s: Session,
    uri: Annotated[
        str,
        typer.Argument(
            metavar="POST", help="The post; the short form that a feed shows will do.", autocompletion=completion.posts
        ),
    ],
    order: Annotated[str, typer.Option(help="What was ordered or decided; whoever asks for the content is told.")],
    basis: Annotated[str, typer.Option(help="The law or rule behind it.")] = "",
    scope: Annotated[str, typer.Option(help="Where it holds.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until released.")] = 0,
    erase: Annotated[bool, typer.Option("--erase", help="Keep no sealed copy: a release asks peers for it.")] = False,
) -> None:
    """Stop giving out a post's content, with a signed statement of why. Other nodes decide for themselves."""
    params = {"uri": refs.post(s, uri), "order": order, "basis": basis, "scope": scope, "days": days}
    answer = s.call("content.withhold", **params, erase=erase)
    until = "its term ends or you release it" if days else "you release it"
    s.out.done(
        answer,
        f"Withheld {refs.short(answer['uri'])}. "
        + (
            f"A sealed copy stays here until {until}."
            if answer["kept"]
            else "No copy is kept here: a release asks peers for it, and if none has it, it is gone for good."
        ),
    )


@store_commands.command("withheld")
def withheld(s: Session) -> None:
    """The posts that this node withholds, each with its order."""
    from banyan_cli.show.text_tables import withheld as show

    rows = s.call("content.withheld")["posts"]
    refs.note(s.home, posts=rows)
    s.out.answers(rows, show(time.time_ns() // 1_000_000), "Nothing is withheld here.")


@store_commands.command("release")
def release(
    s: Session,
    uri: Annotated[
        str, typer.Argument(metavar="POST", help="The post that was withheld.", autocompletion=completion.posts)
    ],
) -> None:
    """Lift a withholding: the content is shown again, from the sealed copy that was kept, or else from peers."""
    answer = s.call("content.release", uri=refs.post(s, uri))
    asked = answer["released"] - answer["kept"]
    missing = f" {count(asked, 'write', 'writes')} of it had no copy here and must come from peers." if asked else ""
    s.out.done(answer, f"Released {refs.short(answer['uri'])}.{missing}")


Account = Annotated[
    str, typer.Argument(help="An account's id or its beginning, or a name.", autocompletion=completion.accounts)
]


@store_commands.command("trust-clock")
def trust_clock(s: Session) -> None:
    """Say that this machine's clock is right although it jumped, so that old content is forgotten as usual."""
    answer = s.call("clock.trust")
    before = answer["doubted"]
    s.out.done(answer, f"The clock is trusted{f' again ({before})' if before else ''}.")


@store_commands.command("drop")
def drop(s: Session, account: Account) -> None:
    """Erase an account from this node, which does not fetch it again. Other nodes decide for themselves."""
    answer = s.call("store.drop", account=refs.account(s, account))
    s.out.done(answer, f"Dropped {answer['account']}: {count(answer['entries'], 'entry', 'entries')}.")


@store_commands.command("dropped")
def dropped(s: Session) -> None:
    """The accounts that were dropped here."""
    rows = s.call("store.dropped")["accounts"]
    s.out.answers(
        rows, lambda console, shown: console.print("\n".join(shown), soft_wrap=True), "Nothing is dropped here."
    )


@store_commands.command("undrop")
def undrop(s: Session, account: Account) -> None:
    """Let a dropped account in again: it is fetched if somebody here follows it closely enough."""
    answer = s.call("store.undrop", account=refs.account(s, account))
    s.out.done(answer, f"{answer['account']} is not dropped any more.")


@store_commands.command("compact")
def compact(
    s: Session,
    to: Annotated[
        Path | None, typer.Option(help="Write a compacted copy there instead; works while a node runs.")
    ] = None,
) -> None:
    """Give the disk back what deleted content took."""
    from banyan_cli.progress import waiting
    from banyan_cli.show.text_tables import facts
    from banyan_node.local import take_compacted

    if to is None and s.node() is not None:
        raise errors.BadInput(
            "The node is running and has the store open; stop it with `banyan down`, or say --to DIR."
        )
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
