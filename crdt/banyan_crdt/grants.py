"""What a control log lets others do: grants, cuts, dropped logs, whether the account is closed.

Entries of granted logs are judged by this and nothing else of the control log, so it is what a node keeps at hand of
each account; the rest (`banyan_crdt.control.Control`) is for who speaks for the account and for who counts it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from banyan_crdt.ids import LogId, Time, WriterKey
from banyan_crdt.ops import Grant, Kept

LogName = tuple[WriterKey, int]
"""(writer, log) inside one account."""


class Granted(NamedTuple):
    """A grant on the path: `since` is the time of its entry, from which quotas grow; `order` its place among grants."""

    grant: Grant
    since: Time
    order: int

    def covers(self, log: int) -> bool:
        return self.grant.first <= log < self.grant.first + self.grant.logs


@dataclass(slots=True)
class Grants:
    """`grants`: of each writer, in the order of the path. `cuts`: of a writer that was cut off, the logs it keeps."""

    grants: Mapping[WriterKey, Sequence[Granted]]
    cuts: Mapping[WriterKey, Mapping[int, Kept]]
    dropped: AbstractSet[LogName]
    closed: bool

    def grant_of(self, writer: WriterKey, log: int) -> Granted | None:
        """The first grant that covers the log, or None: not granted, dropped, or the account is closed."""
        if self.closed or (self.dropped and (writer, log) in self.dropped):
            return None
        for granted in self.grants.get(writer, ()):
            if granted.covers(log):
                return granted
        return None

    def voice_of(self, writer: WriterKey) -> Granted | None:
        """The grant by which the writer's checkpoint speaks, the lowest of its own by (stratum, order); None where it
        has none, was cut off, or the account is closed."""
        if self.closed or writer in self.cuts:
            return None
        return min(self.grants.get(writer, ()), key=lambda g: (g.grant.stratum, g.order), default=None)

    def order_of(self, log: LogId) -> tuple[int, int, int]:
        """The order in which logs are counted, so that pins of a lower stratum are known before they are needed."""
        g = self.grant_of(log.writer, log.log)
        return (g.grant.stratum, g.order, log.log) if g else (256, 0, 0)

    def cut_of(self, log: LogId) -> tuple[bool, Kept | None]:
        """(whether the log counts at all, where it is cut): a cut names every log that it keeps."""
        cuts = self.cuts.get(log.writer)
        if cuts is None:
            return True, None
        return log.log in cuts, cuts.get(log.log)
