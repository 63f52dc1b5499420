"""The rows as a table for people, the one that docs/threats.md shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    *("attack", "price", "acknowledged p50 / p99", "at the peer p50 / p99", "CPU", "memory", "disk"),
    *("points", "newcomer", "what hurts"),
)


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown. Times are milliseconds, before and during; memory and disk are MB more than before."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_line(name, row) for name, row in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    hurts = "; ".join(row["hurts"]) or "nothing"
    if "ended" in row:
        return (name, *("",) * (len(COLUMNS) - 2), hurts)
    price, before, during, after = row["price"], row["before"], row["during"], row["after"]
    came = row["newcomer_s"]
    points = max(p[k] or 0 for p in (during, after) for k in ("points_of_neighbour", "points_of_victim"))
    return (
        f"`{name}`",
        f"{price['identities']:,} ids, {_mb(price['sent'])} MB",
        *(f"{_times(before[key])}, {_times(during[key])}" for key in ("acknowledged", "at_peer")),
        f"{before['cpu_percent']}, {during['cpu_percent']} %",
        f"{during['anon_mb'] - before['anon_mb']:+.0f}",
        f"{max(during['disk_mb'], after['disk_mb']) - before['disk_mb']:+.0f}",
        f"{points:g}{'' if during['linked'] and after['linked'] else ', link lost'}",
        "never" if came is None else f"{came:.1f} s",
        hurts,
    )


def _times(found: Mapping[str, float]) -> str:
    return f"{found['p50_ms']:,.0f} / {found['p99_ms']:,.0f}"


def _mb(count: int) -> str:
    return f"{count / 1e6:,.1f}"
