"""What an attack is, and which there are: every module of `attacks/` has one."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from bench.attack import attacks

if TYPE_CHECKING:
    from bench.attack.strangers import Strangers


class Victim(NamedTuple):
    """What an attacker knows of the honest nodes. address, neighbour: where the victim and its honest neighbour listen.
    account: the one in which the victim posts. followed: accounts that both hold, 32 bytes each."""

    address: str
    neighbour: str
    account: bytes
    followed: tuple[bytes, ...]


class Attack(ABC):
    """One attack. about: a sentence for people. needs: the identities below which it is not this attack; more are used
    if `--identities` gives more."""

    about: ClassVar[str]
    needs: ClassVar[int] = 1

    @abstractmethod
    async def run(self, strangers: Strangers, victim: Victim) -> None:
        """Attacks until it is cancelled. It may return earlier if nothing is left to do."""


def names() -> list[str]:
    """The names of all attacks: those of their modules. `nothing` is first, because others are compared with it."""
    found = [module.name for module in pkgutil.iter_modules(attacks.__path__)]
    return sorted(found, key=lambda name: (name != NOTHING, name))


def named(name: str) -> type[Attack]:
    """The attack of one module."""
    module = importlib.import_module(f"{attacks.__name__}.{name}")
    return next(
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Attack) and thing.__module__ == module.__name__
    )


NOTHING = "nothing"
"""The module that attacks nobody."""
