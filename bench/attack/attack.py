"""All attacks on a real node: those that consist of messages (banyan_sim.attacks), and those that need sockets."""

from __future__ import annotations

from banyan_sim import attack
from bench.attack import attacks


def names() -> list[str]:
    """The names of all attacks, `nothing` first."""
    return attack.names(attacks)


def named(name: str) -> type[attack.Attack]:
    """The attack of one module."""
    return attack.named(name, attacks)
