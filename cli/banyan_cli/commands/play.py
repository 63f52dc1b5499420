"""Things to watch: a small alliance on this machine, and a large one in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import errors
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.show.tables import facts

if TYPE_CHECKING:
    from rich.console import Console

_sim = root.group("sim", "Many nodes in virtual time, with faults, from one seed.")


@root.command()
def demo(
    s: Session,
    stop: Annotated[
        bool, typer.Option("--exit", help="End when all four agree, instead of waiting for ctrl-C.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the four homes, and say where they are.")] = False,
) -> None:
    """Three platforms and a hobbyist, four real processes on this machine, until all hold the same graph."""
    from banyan_cli.demo.story import run_demo

    result = run_demo(s.out, wait=not stop, keep=keep)
    s.out.answer(result, _show_demo)
    if not result["converged"]:
        raise typer.Exit(errors.FAILED)


def _show_demo(console: Console, value: dict[str, Any]) -> None:
    from banyan_cli.demo.story import NAMES

    agreed = "All four nodes agree" if value["converged"] else "The four nodes do NOT agree"
    console.print(f"{agreed}: {value['entries']:,} entries after {value['seconds']} s.")
    for name, digest, view in zip(NAMES, value["digests"], value["views"], strict=True):
        console.print(f"{name:<6} heads {digest}  view {view}", soft_wrap=True)


@_sim.command("run")
def sim_run(
    s: Session,
    nodes: Annotated[int, typer.Option(min=2, max=10_000, help="How many replicas.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed plays the same world.")] = 1,
    chosen: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How many replicas hold chosen accounts, as a hobbyist's node does. Default: half if the seed is odd.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Play one world: latency, loss, partitions, crashes, liars; then see whether all replicas agree."""
    from dataclasses import asdict

    from banyan_cli.progress import waiting
    from banyan_sim.runner import run_world

    with waiting(s.out.notes, f"playing {nodes} nodes, seed {seed}"):
        result = asdict(run_world(nodes, seed, chosen=chosen))
    s.out.answer(result, facts)
    if not result["converged"]:
        raise typer.Exit(errors.FAILED)
