"""The store by itself: is it sound, how large is it, and can it be smaller."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import errors, refs, session
from banyan_cli.progress import waiting
from banyan_cli.show.tables import facts
from banyan_cli.show.words import count

if TYPE_CHECKING:
    from rich.console import Console

_store = typer.Typer(help="The store: verify, mend, compact, stats.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_store, name="store")


@_store.command("stats")
def stats(ctx: typer.Context) -> None:
    """What the store holds."""
    s = session.of(ctx)
    s.out.answer(s.call("store.stats"), facts)


@_store.command("verify")
def verify(ctx: typer.Context) -> None:
    """Recompute every hash, link and signature; name what differs, change nothing."""
    s = session.of(ctx)
    with waiting(s.out.notes, "verifying"):
        answer = s.call("store.verify")
    s.out.answer(answer, _show_verify)
    if answer["problems"]:
        raise typer.Exit(errors.STORAGE)


def _show_verify(console: Console, value: dict[str, Any]) -> None:
    for problem in value["problems"]:
        console.print(f"{problem['where']}: {problem['sentence']}", markup=False, soft_wrap=True)
    found, said = len(value["problems"]), "the store is sound"
    if found:
        said = (
            f"{count(found, 'problem')}; `banyan store mend` drops the entries and the content that are wrong, and "
            "peers are asked for them. If problems are left then, restore the store from peers or an archive"
        )
    console.print(f"{value['checked']:,} entries checked: {said}.")


@_store.command("mend")
def mend(ctx: typer.Context) -> None:
    """Drop what is wrong: entries, with all that stands on them, and content. `banyan up` then asks peers for it."""
    from banyan_node.local import mend_local

    s = session.of(ctx)
    if s.node() is not None:
        raise errors.BadInput("The node is running and has the store open; stop it with `banyan down`.")
    found = mend_local(s.home, s.settings, s.out.note)
    value = {"logs": found.logs, "checked": found.entries, "wrong_logs": found.wrong_logs, "dropped": found.gone}
    value |= {"heads": found.moved, "parts": found.parts}
    s.out.answer(value, facts)


@_store.command("withhold")
def withhold(
    ctx: typer.Context,
    uri: Annotated[str, typer.Argument(help="The post; the short form that a feed shows will do.")],
    order: Annotated[str, typer.Option(help="What was ordered or decided; whoever asks for the content is told.")],
    basis: Annotated[str, typer.Option(help="The law or rule behind it.")] = "",
    scope: Annotated[str, typer.Option(help="Where it holds.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until released.")] = 0,
) -> None:
    """Stop giving out a post's content, with a signed statement of why. Other nodes decide for themselves."""
    s = session.of(ctx)
    params = {"uri": refs.post(s.home, uri), "order": order, "basis": basis, "scope": scope, "days": days}
    answer = s.call("content.withhold", **params)
    s.out.done(answer, f"Withheld {refs.short(answer['uri'])}.")


@_store.command("release")
def release(
    ctx: typer.Context, uri: Annotated[str, typer.Argument(help="The post whose content was withheld.")]
) -> None:
    """Lift a withholding: the content is asked of peers again."""
    s = session.of(ctx)
    answer = s.call("content.release", uri=refs.post(s.home, uri))
    s.out.done(answer, f"Released {refs.short(answer['uri'])}.")


@_store.command("compact")
def compact(
    ctx: typer.Context,
    to: Annotated[
        Path | None, typer.Option(help="Write the compacted copy there instead; the way while a node runs.")
    ] = None,
) -> None:
    """Give the disk back what deleted content took."""
    s = session.of(ctx)
    if to is None and s.node() is not None:
        raise errors.BadInput(
            "The node is running and has the store open; stop it with `banyan down`, or say --to DIR."
        )
    folder = to.absolute() if to is not None else s.home.path / "store.compacted"
    if to is None and folder.exists():
        shutil.rmtree(folder)  # left by a run that was broken off before the folders changed places
    with waiting(s.out.notes, "compacting"):
        answer = s.call("store.compact", path=str(folder))
    if to is None:
        s.close()
        _take_place(s.home.store, folder)
        answer["path"] = str(s.home.store)
    s.out.answer(answer, facts)


def _take_place(store: Path, compacted: Path) -> None:
    """Put the compacted copy where the store was. Broken off between the two steps, the store is under the old name."""
    old = store.with_name("store.before-compact")
    if old.exists():
        shutil.rmtree(old)
    store.rename(old)
    try:
        compacted.rename(store)
    except OSError:
        old.rename(store)
        raise
    shutil.rmtree(old)
