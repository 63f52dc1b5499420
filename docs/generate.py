"""Writes what the docs say of the code, so that they cannot go stale: the tables of architecture.md and operating.md,
and api.sha256, a digest of what programs see of each API, so that a change of it stands in the diff.

    uv run python -m docs.generate              # writes them; a test compares them
    uv run python -m docs.generate openapi      # prints the OpenAPI document of the platform API
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from banyan_node.admission.gates import FRAME, REQUEST
from banyan_node.api.reference import reference
from banyan_node.home.settings import OPTIONS
from banyan_replica.peers.states import COURSE, LIFE, READER, TURN
from banyan_web.app import EVERY
from banyan_web.endpoint import Endpoints
from banyan_web.platform.openapi import document

DOCS = Path(__file__).parent


def settings() -> Iterator[str]:
    """One row a setting, in the order of config.py."""
    yield from ("| setting | default | allowed | why |", "|---|---|---|---|")
    for option in OPTIONS.values():
        cells = (f"`{option.name}`", _shown(option.default), option.allowed, option.why)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return ", ".join(f"`{item}`" for item in value) or "none"
    return f"`{value}`" if value != "" else "none"


MACHINES: dict[str, Mapping[Any, Mapping[Any, Any]]] = {"life": LIFE, "course": COURSE, "reader": READER, "turn": TURN}


def states() -> Iterator[str]:
    """One row a state of a session, in the order of states.py."""
    yield from ("| machine | state | what | steps |", "|---|---|---|---|")
    for name, machine in MACHINES.items():
        for state, steps in machine.items():
            to: dict[Any, list[str]] = {}
            for event, after in steps.items():
                to.setdefault(after, []).append(event.name)
            said = [f"{', '.join(events)}: **{after.name}**" for after, events in to.items() if after is not state]
            stays = [f"{', '.join(to[state])}: stays"] if state in to else []
            yield f"| {name} | {state.name} | {state.value} | {'; '.join(said + stays)} |"


# -- gates: those of admission/gates.py, where the code names each, and the sentences beside its name

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
    root = DOCS.parent
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


def gates() -> Iterator[str]:
    """One row a gate, in the order of gates.py."""
    for before, chain, rows in (([], "a frame of a peer", FRAME), ([""], "an HTTP request", REQUEST)):
        yield from (*before, f"| {chain} | bounds | says | where |", "|---|---|---|---|")
        for gate, bounds in rows.items():
            here = [place for place in places() if place.gate == gate]
            says = dict.fromkeys(f'"{sentence.strip(" .:")}"' for place in here for sentence in place.says)
            where = dict.fromkeys(f"`{'/'.join(place.file.split('/')[2:])}`" for place in here)
            yield f"| {gate} | {bounds} | {'; '.join(says)} | {', '.join(where)} |"


# -- the pages, and the digests


def page(name: str, *tables: Callable[[], Iterator[str]]) -> str:
    """A page with each table made anew between its two marks."""
    text = (DOCS / name).read_text("utf-8")
    for table in tables:
        start, end = f"<!-- {table.__name__}: made by docs/generate.py -->", f"<!-- end of {table.__name__} -->"
        before, rest = text.split(start)
        rows = "\n".join(table())
        text = f"{before}{start}\n\n{rows}\n\n{end}{rest.split(end)[1]}"
    return text


def platform_openapi() -> str:
    """The part of the door's OpenAPI document that describes the platform API, as a node at http://localhost has it."""
    own = Endpoints()
    own.all = [endpoint for module in EVERY for endpoint in module.all if endpoint.path.startswith("/v1/")]
    return json.dumps(document([own], "http://localhost"), indent=2) + "\n"


def digests() -> str:
    """A line for each API: the digest, and the command that prints the text."""
    made = {"banyan_node.api.reference": reference(), "docs.generate openapi": platform_openapi()}
    return "".join(f"{sha256(text.encode()).hexdigest()}  uv run python -m {name}\n" for name, text in made.items())


FILES: dict[str, Callable[[], str]] = {
    "architecture.md": lambda: page("architecture.md", states, gates),
    "operating.md": lambda: page("operating.md", settings),
    "api.sha256": digests,
}

if __name__ == "__main__":
    if sys.argv[1:] == ["openapi"]:
        print(platform_openapi(), end="")
    else:
        for file, make in FILES.items():
            (DOCS / file).write_text(make(), "utf-8")
