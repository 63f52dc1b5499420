"""Makes the grammar (CDDL) and the table of messages in docs/protocol.md from the tables of the codec."""

from __future__ import annotations

from banyan_replica.gossip import frames
from banyan_replica.wire import data_items, message_table
from banyan_replica.wire.fields import MessageShape

WIDTH = 140


def messages() -> str:
    """The grammar of every message, and of the rules that their fields name."""
    shapes = [line.shape for line in message_table.TABLE]
    lines = _choice("message", [s.name for s in shapes])
    lines += ["", *_rules({s.name: s.grammar for s in shapes})]
    lines += ["", *_rules({**data_items.GRAMMAR, **message_table.GRAMMAR})]
    return "\n".join(lines)


def gossip() -> str:
    """The grammar of the frames of gossip."""
    shapes: list[MessageShape] = list(frames.SHAPES)
    lines = _choice("gossip-frame", [s.name for s in shapes])
    lines += ["", *_rules({s.name: s.grammar for s in shapes}), "", *_rules(frames.GRAMMAR)]
    return "\n".join(lines)


def who() -> str:
    """The table: one line per message, with who may send it and how it is treated."""
    rows = ["| code | message | who sends it | before hello | bulk | says |", "|---|---|---|---|---|---|"]
    for line in message_table.TABLE:
        early, bulk = ("yes" if x else "" for x in (line.before_hello, line.bulk))
        rows.append(f"| {line.shape.code} | {line.shape.name} | {line.who.value} | {early} | {bulk} | {line.says} |")
    return "\n".join(rows)


def _rules(rules: dict[str, str]) -> list[str]:
    left = max(map(len, rules))
    return [f"{name:{left}} = {text}".replace("\n", "\n" + " " * (left + 1)) for name, text in rules.items()]


def _choice(name: str, names: list[str]) -> list[str]:
    lines = [f"{name} = {names[0]}"]
    for n in names[1:]:
        if len(lines[-1]) + len(n) > WIDTH - 20:
            lines.append(" " * len(name) + f" / {n}")
        else:
            lines[-1] += f" / {n}"
    return lines
