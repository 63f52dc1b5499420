"""From which figures on an attack hurts. A row is compared with its own time before the attack, and with the row of the
same run in which nobody attacks: on a busy machine posts are late without any attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FACTOR, MORE_MS = 2.0, 50.0
"""A post may take twice as long and 50 ms more: a person does not notice that."""
ANON_MB = 150.0
"""The memory that strangers may take: a small machine has it to spare."""
OWN_MB = 10.0
"""Disk that the victim's own posts may take during one row, beside what strangers may."""
CPU_PERCENT = 30
"""The share of a core that strangers may take while the owner has work."""
COMPARING_S = 15.0
"""What gossip missed is to come by comparing after three roots (`Limits.root_s`)."""
NEWCOMER_S = 2.0
"""A newcomer may take twice as long, and so many seconds more for a second dial."""


def hurts(row: Mapping[str, Any], control: Mapping[str, Any] | None) -> list[str]:
    """What the attack did to honest people, in words; empty: nothing worth a word. control: the row without an attack,
    None if there is none."""
    if "ended" in row:
        return ["a process ended"]
    before, during, after = row["before"], row["during"], row["after"]
    found = []
    for key, what in (("acknowledged", "posts acknowledged"), ("at_peer", "posts at the peer")):
        late, usual = during[key]["p99_ms"], before[key]["p99_ms"]
        if control is not None:
            usual = max(usual, control["during"][key]["p99_ms"])
        if late > FACTOR * usual + MORE_MS:
            found.append(f"{what} after {late / 1e3:.1f} s")
    for key, what in (("never_acknowledged", "never acknowledged"), ("never_at_peer", "never at the peer")):
        if lost := during[key]:
            found.append(f"{lost} posts {what}")
    if (charged := _charged(during, after)) > 0:
        found.append(f"honest nodes charged each other {charged:g} points")
    if not (during["linked"] and after["linked"]):
        found.append("the honest link ended")
        if during["status"].get("complete"):
            found.append("the victim says that it is complete all the same")
    if (more := during["anon_mb"] - before["anon_mb"]) > ANON_MB:
        found.append(f"{more:.0f} MB more memory")
    share = (during["status"].get("strangers_may") or 0) / 1e6
    if (more := max(during["disk_mb"], after["disk_mb"]) - before["disk_mb"]) > share + OWN_MB:
        found.append(f"{more:.0f} MB more disk, of which strangers may take {share:.0f}")
    if (more := during["cpu_percent"] - before["cpu_percent"]) > CPU_PERCENT:
        found.append(f"{more} % of a core")
    if (slow := during["by_comparing_s"]) is not None and slow > COMPARING_S:
        found.append(f"comparing took {slow:.0f} s")
    if "newcomer_s" in row:
        took, alone_s = row["newcomer_s"], None if control is None else control.get("newcomer_s")
        if alone_s is not None:  # what strangers left in the store, a newcomer reads without them too
            alone_s = max(alone_s, row.get("newcomer_after_s") or 0.0)
        if took is None:
            found.append("a newcomer did not catch up")
        elif alone_s is not None and took > FACTOR * alone_s + NEWCOMER_S:
            found.append(f"a newcomer needed {took:.0f} s")
    return found + _lies(before["status"], during["status"])


def _charged(*phases: Mapping[str, Any]) -> float:
    return max((p[key] or 0.0) for p in phases for key in ("points_of_neighbour", "points_of_victim"))


def _lies(before: Mapping[str, Any], during: Mapping[str, Any]) -> list[str]:
    """What strangers made the victim say of itself."""
    found = []
    if during.get("fresh_as_of") and not before.get("fresh_as_of"):
        found.append("it says how fresh it is on a stranger's word")
    if during.get("clock") and not before.get("clock"):
        found.append("it says that its clock is wrong")
    return found
