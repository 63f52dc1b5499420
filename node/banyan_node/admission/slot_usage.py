"""How full the slots for connections are, for people."""

from __future__ import annotations

from typing import NamedTuple

from banyan_replica.gossip.address_groups import nets_of

NEARLY = 0.9
"""The share of a pool from which on people are told."""
CROWD = 4
"""So many connections of one near group are named to people."""


class SlotUsage(NamedTuple):
    """How full the slots are. refused, evicted: newcomers without a place and links that had to go, since the start.
    largest: the most connections of one near group, of those that arrive or are inbound; net: that group."""

    inbound: int
    inbound_of: int
    outbound: int
    outbound_of: int
    named: int
    named_of: int
    arriving: int
    arriving_of: int
    refused: int
    evicted: int
    largest: int
    net: str

    @property
    def crowded(self) -> str | None:
        """Which slots are nearly used up and what to do, in a sentence without a full stop; None if none are."""
        of_one = f", {self.largest} of them from {self.net}" if self.largest >= CROWD else ""
        refuse = ""
        if of_one and nets_of(self.net.partition("/")[0]).local:
            refuse = "; look for the program on this machine or network that makes them"
        elif of_one:
            refuse = f"; if these are no honest peers, refuse them with network.deny {self.net}"
        if self.arriving >= NEARLY * self.arriving_of:
            return (
                f"{self.arriving} of {self.arriving_of} connections that may wait for a hello do{of_one}, so newcomers "
                f"may have to dial again{refuse or '; if that lasts, raise limits.arriving'}"
            )
        if self.inbound_of and self.inbound >= NEARLY * self.inbound_of:
            return (
                f"{self.inbound} of {self.inbound_of} slots for peers that dial this node are in use{of_one}, so the "
                f"least useful goes for each newcomer{refuse or '; raise limits.peers if this machine can serve more'}"
            )
        if self.outbound >= self.outbound_of:
            return f"all {self.outbound_of} slots for peers that this node dials are in use; raise limits.outbound"
        return None
