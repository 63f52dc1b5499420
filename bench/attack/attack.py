"""All attacks on a real node: those that consist of messages (banyan_sim.attacks), and those that need sockets."""

from __future__ import annotations

from banyan_sim import attack
from bench.attack import attacks


def names() -> list[str]:
    """The names of all attacks, `nothing` first."""
    return attack.names(attacks)


def names_of_chosen() -> list[str]:
    """Half of them, with `nothing` and those that aim at such nodes: those that a victim with chosen accounts meets if
    none are named."""
    first, *rest = names()
    return [first, *(name for i, name in enumerate(rest) if i % 2 == 0 or named(name).on_chosen)]


def named(name: str) -> type[attack.Attack]:
    """The attack of one module."""
    return attack.named(name, attacks)
