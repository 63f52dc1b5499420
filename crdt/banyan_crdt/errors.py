"""The three verdicts. Two are raised; the third, accept, is a return value.

BanyanError
+-- Reject         wrong bytes, shape, hash or signature: the same at every node for ever. Costs the sender points.
|   +-- Malformed
|   +-- Oversized
|   +-- WrongLink
|   +-- BadSignature
+-- NotYet         depends on what is held and on the time: parent, grant, time, version. Dropped, never remembered.
+-- Refused        this node will not write it (a limit, a closed account): a bug or a user's mistake.
"""

from __future__ import annotations

from typing import Literal, TypeVar


class BanyanError(Exception):
    """The base class of all errors about entries."""


E = TypeVar("E", bound=BanyanError)


def bare(why: E) -> E:
    """The error without its traceback, to keep it: a traceback holds all that was read until the fault."""
    why.__traceback__ = why.__context__ = None
    return why


class Reject(BanyanError):
    """Wrong bytes: every node gives this verdict, whatever it holds."""


class Malformed(Reject):
    """Not the deterministic form, or not the shape that the protocol names."""


class Oversized(Reject):
    """Larger than a limit that every node shares."""


class WrongLink(Reject):
    """An entry contradicts the one that it names as its parent."""


class BadSignature(Reject):
    """The signature does not verify under the key that the header names."""


Reason = Literal[
    "version", "account", "grant", "gap", "future", "until", "limit", "cut", "control", "branch", "busy", "full"
]


class NotYet(BanyanError):
    """Cannot be judged with what is held now. Drop it, remember nothing against it, and ask for what is missing."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason: Reason = reason


class Refused(BanyanError):
    """This node will not sign or store that; the sentence says what to do instead."""
