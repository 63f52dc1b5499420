"""The rights that a control log gives: grants, cuts, dropped logs, whether the account is closed.

Entries of granted logs are judged by these alone, so a node caches them for each account. The rest of the control log
(`banyan_crdt.control.Control`) is needed only to judge control entries and to count an account again.
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
    """A grant on the path. `since`: the time of its entry, from which quotas grow. `order`: its place among the grants
    of the path, from 0."""

    grant: Grant
    since: Time
    order: int

    def covers(self, log: int) -> bool:
        """Whether the grant lets its writer write this log."""
        return self.grant.first <= log < self.grant.first + self.grant.logs


@dataclass(slots=True)
class Grants:
    """`grants`: by writer, in the order of the path. `cuts`: for each writer that was cut, the logs that it keeps."""

    grants: Mapping[WriterKey, Sequence[Granted]]
    cuts: Mapping[WriterKey, Mapping[int, Kept]]
    dropped: AbstractSet[LogName]
    closed: bool

    def grant_of(self, writer: WriterKey, log: int) -> Granted | None:
        """The first grant that covers the log. None if there is none, the log is dropped, or the account is closed."""
        if self.closed or (self.dropped and (writer, log) in self.dropped):
            return None
        for granted in self.grants.get(writer, ()):
            if granted.covers(log):
                return granted
        return None

    def voice_of(self, writer: WriterKey) -> Granted | None:
        """The grant that the pins of the writer's checkpoint act under: its lowest by (stratum, order). None if it has
        no grant, was cut, or the account is closed."""
        if self.closed or writer in self.cuts:
            return None
        return min(self.grants.get(writer, ()), key=lambda g: (g.grant.stratum, g.order), default=None)

    def order_of(self, log: LogId) -> tuple[int, int, int]:
        """The sort key by which logs are counted: (stratum, order of the grant, log). So pins of a lower stratum are
        known before they are needed."""
        g = self.grant_of(log.writer, log.log)
        return (g.grant.stratum, g.order, log.log) if g else (256, 0, 0)

    def cut_of(self, log: LogId) -> tuple[bool, Kept | None]:
        """(whether the log may count, the last entry that a cut keeps or None). A cut names every log that it keeps."""
        cuts = self.cuts.get(log.writer)
        if cuts is None:
            return True, None
        return log.log in cuts, cuts.get(log.log)
