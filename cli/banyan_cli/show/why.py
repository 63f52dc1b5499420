"""Why one sees a post, as lines for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from banyan_cli.show.feed import text_of
from banyan_cli.show.words import ago, count, name_of
from banyan_schema.dates import second

KEY_DIGITS = 16
"""Of keys and entries so many digits are shown; `--json` has all."""


def why(now_ms: int) -> Callable[[Console, dict[str, Any]], None]:
    """Shows the answer of `why`."""

    def show(console: Console, value: dict[str, Any]) -> None:
        for name, said in _lines(value, now_ms):
            console.print(Text.assemble((f"{name:<12}", "dim"), said))

    return show


def _lines(value: dict[str, Any], now_ms: int) -> list[tuple[str, str]]:
    device = "this node" if value["here"] else f"the device {value['writer'][:KEY_DIGITS]}"
    granted = f", granted by {value['granted'][:KEY_DIGITS]} of the account's control log" if value["granted"] else ""
    lines = [
        ("signed by", f"{name_of(value['account'], value['name'])}, with {device}{granted}"),
        ("written", f"{_when(value['time_ms'], now_ms)} by the author's clock"),
        ("came here", _came(value, now_ms)),
        ("stands at", f"entry {value['seq']} of log {value['log']}: {value['entry'][:KEY_DIGITS]}"),
        ("proof", _proof(value["proof"])),
    ]
    for version in value["versions"][:-1]:
        said = "(not held any more)" if version["text"] is None else text_of(version["text"])
        lines.append(("said before", f"{said}  ({_when(version['time_ms'], now_ms)})"))
    holders = value["holders"]
    has = sum(one["holds"] == "yes" for one in holders)
    lines.append(("held by", f"{has} of {count(len(holders), 'linked peer')}, as far as they told"))
    return lines


def _when(time_ms: int, now_ms: int) -> str:
    return f"{second(time_ms)} UTC ({ago(time_ms, now_ms)})"


def _came(value: dict[str, Any], now_ms: int) -> str:
    if value["arrived_ms"] is None:
        return "not known any more"
    whence = f"from {value['from_peer']}" if value["from_peer"] else "written or imported here"
    return f"{_when(value['arrived_ms'], now_ms)}, {whence}"


def _proof(proof: dict[str, Any] | None) -> str:
    if proof is None:
        return "the signature is not here yet"
    run = "itself" if proof["entries"] == 1 else f"a run of {proof['entries']} entries from it to entry {proof['seq']}"
    verdict = "verified now" if proof["valid"] else "DOES NOT VERIFY"
    return f"the signature {proof['signature'][:KEY_DIGITS]}… covers {run}: {verdict}"
