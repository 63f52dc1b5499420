"""Writes the two chains of gates in architecture.md, so that the page cannot go stale: the gates of the list
(banyan_node/admission/gates.py), where the code names each, and the sentences that stand beside its name.

uv run python docs/gates_table.py
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from banyan_node.admission.gates import FRAME, REQUEST

PAGE = Path(__file__).with_name("architecture.md")
START, END = "<!-- gates: made by docs/gates_table.py -->", "<!-- end of gates -->"
ROOMS = ("node/banyan_node", "replica/banyan_replica", "web/banyan_web")
COUNTED = {"stopped": 0, "_stopped": 0, "delay": 0}
NAMED = COUNTED | {"bye": 1, "NotAdmitted": 0, "too_much": 0, "_let_go": 2}
"""Calls that name a gate, and at which place; others name it as `gate`. What they do not say themselves is said in the
same block of statements."""
BY_STATUS = ("web/banyan_web/refusals.py", "GATES")
"""Where the gates of refusals stand that name none."""
WORDS = 3
"""The fewest words of a sentence."""


class GatePlace(NamedTuple):
    """A place of the code that names a gate. file: from the root of the repository."""

    gate: str
    file: str
    says: tuple[str, ...] = ()


def texts(node: ast.AST) -> list[str]:
    """The texts in a piece of code, with … for what is filled in, and without docstrings."""
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)]
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    return [text for child in ast.iter_child_nodes(node) if not counts(child) for text in texts(child)]


def counts(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and called(node) in COUNTED


def called(call: ast.Call) -> str:
    """The name of what is called, without that of its object."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


@cache
def places() -> tuple[GatePlace, ...]:
    root = PAGE.parent.parent
    files = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    return tuple(place for path in files for place in _in(path.relative_to(root).as_posix(), path.read_text("utf-8")))


def _in(file: str, code: str) -> Iterator[GatePlace]:
    block: dict[ast.AST, list[ast.stmt]] = {}
    for node in ast.walk(ast.parse(code)):  # outer blocks before inner ones
        for statements in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(statements, list):
                block |= {inner: statements for one in statements for inner in ast.walk(one)}
        if isinstance(node, ast.Call):
            at = NAMED.get(called(node), len(node.args))
            names = [*node.args[at : at + 1], *(key.value for key in node.keywords if key.arg == "gate")]
            sentences = _sentences(node) or tuple(text for one in block[node] for text in _sentences(one))
            yield from (GatePlace(gate, file, sentences) for one in names for gate in texts(one) if gate)
        elif file == BY_STATUS[0] and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == BY_STATUS[1]:
            yield from (GatePlace(gate, file) for gate in texts(node.value))


def _sentences(node: ast.AST) -> tuple[str, ...]:
    return () if counts(node) else tuple(text for text in texts(node) if len(text.split()) >= WORDS)


def table() -> str:
    """One row a gate, in the order of gates.py."""
    rows = list[str]()
    for chain, gates in (("a frame of a peer", FRAME), ("an HTTP request", REQUEST)):
        rows += [f"| {chain} | bounds | says | where |", "|---|---|---|---|"]
        for gate, bounds in gates.items():
            here = [place for place in places() if place.gate == gate]
            says = dict.fromkeys(f'"{sentence.strip(" .:")}"' for place in here for sentence in place.says)
            where = dict.fromkeys(f"`{'/'.join(place.file.split('/')[2:])}`" for place in here)
            rows.append(f"| {gate} | {bounds} | {'; '.join(says)} | {', '.join(where)} |")
        rows.append("")
    return "\n".join(rows[:-1])


def filled(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
