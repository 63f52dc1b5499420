"""The tables of docs/security.md, made from the results of rows and sequences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.thefts import sequences
from tests.thefts.rows import DAYS, Result, Row, every_row, late_rows, run
from tests.thefts.scene import N, Seen

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- table {} -->", "<!-- end -->"
_HEAD = ["| key | what the thief does | at once | a node that joins then | after the answer |", "|---|---|---|---|---|"]
Done = list[tuple[Row, Result]]
Sequences = list[tuple[sequences.Sequence, Result]]


def act_all() -> tuple[Done, Done, Sequences]:
    """Acts out every theft: at once, with days between, and those of several moves."""
    at_once = [(row, run(row)) for row in every_row()]
    late = [(row, run(row)) for row in late_rows()]
    return at_once, late, [(s, s.act()) for s in sequences.SEQUENCES]


def _one(seen: Seen) -> str:
    text = "all" if seen.whole else f"{seen.shown} / {seen.entries} / {seen.contents}"
    return f"{text}, {seen.flag}" if seen.flag else text


def _same(seen: Sequence[tuple[str, Seen | None]]) -> str:
    """What the nodes have: once where all have the same, else node by node."""
    there = [(name, _one(x)) for name, x in seen if x is not None]
    texts = {text for _, text in there}
    return texts.pop() if len(texts) == 1 else "; ".join(f"{name} {text}" for name, text in there)


def _before(r: Result) -> list[str]:
    return [_same([("owner", r.at_once[0]), ("other", r.at_once[1])]), _same([("", r.between)])]


def _after(r: Result) -> str:
    names = ["owner", "other", "joined then", "joined later"]
    return _same(list(zip(names, [*r.answered, r.between_answered, r.after], strict=True)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _table(rows: Iterable[tuple[str, str, Result]]) -> str:
    """Rows that stand together, of one key and with one outcome, are one row."""
    out, last = list(_HEAD), ""
    for (key, *cells), same in groupby(rows, key=lambda r: (r[0], *_before(r[2]), _after(r[2]))):
        out.append(_row("" if key == last else key, "; ".join(does for _, does, _ in same), *cells))
        last = key
    return "\n".join(out)


def _sorted(done: Done) -> Iterator[tuple[str, str, Result]]:
    """The actions of one key, those with one outcome together, in the order in which the outcomes came."""
    for key, rows in groupby(done, key=lambda d: d[0].key):
        outcomes: dict[tuple[str, ...], list[tuple[str, str, Result]]] = {}
        for row, r in rows:
            outcomes.setdefault((*_before(r), _after(r)), []).append((key, row.action.name, r))
        for same in outcomes.values():
            yield from same


def _whys(pairs: Iterable[tuple[str, str]]) -> str:
    lines = [f"- {key}: {why}" for key, why in dict(pairs).items() if why]
    return "\n\n" + "\n".join(lines) if lines else ""


def tables(at_once: Done, late: Done, seqs: Sequences) -> dict[str, str]:
    whys = ((row.key, row.thief.why) for row, _ in at_once if not row.required)
    return {
        "thefts": _table(_sorted(at_once)) + _whys(whys),
        "days": _late(late),
        "sequences": _table((s.key, s.does, r) for s, r in seqs)
        + _whys((f"{s.key}: {s.does}", s.why) for s, _ in seqs),
    }


def _late(late: Done) -> str:
    """One row for each theft and whether the owner's home is still there; a column for each number of days."""
    out = [
        _row("key", "what the thief does", "the owner's home", *(f"answer after {n} days" for n in DAYS)),
        "|---|---|---|" + "---|" * len(DAYS),
    ]
    for (key, does, gone), rows in groupby(late, key=lambda d: (d[0].key, d[0].action.name, d[0].home_gone)):
        out.append(_row(key, does, "gone" if gone else "there", *(_after(r) for _, r in rows)))
    return "\n".join(out)


def _named(row: Row) -> str:
    late = f"; answer after {row.days} days" if row.days else ""
    return f"{row.key}: {row.action.name}{late}{'; home gone' if row.home_gone else ''}"


def filled(page: str, made: dict[str, str]) -> str:
    """The page with these tables between their marks."""
    for name, table in made.items():
        begin = BEGIN.format(name)
        head, rest = page.split(begin + "\n", 1)
        page = f"{head}{begin}\n{table}\n{END}{rest.split(END, 1)[1]}"
    return page


def failed(at_once: Done, late: Done, seqs: Sequences) -> list[str]:
    """Sentences about rows where something should have come back, or stayed, and did not."""
    rows = [(_named(row), row.required, row.unharmed, r) for row, r in (*at_once, *late)]
    rows += [(f"{s.key}: {s.does}", s.required, s.unharmed, r) for s, r in seqs]
    out = [f"{name}: {_after(r)} of {N}" for name, required, _, r in rows if required and not r.back]
    hurt = [(name, r) for name, _, unharmed, r in rows if unharmed and not r.unharmed]
    return out + [f"{name}: harmed, {'; '.join(_before(r))} of {N}" for name, r in hurt]
