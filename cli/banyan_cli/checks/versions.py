"""Whether what runs fits together: this command, the node, the libraries, and the peers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from banyan_node.version import DISTRIBUTION, program_version

_BOUND = re.compile(r"(==|>=|<=|<|>|!=)\s*([0-9][^\s,;]*)")
OTHER_PROTOCOL = "protocol version "
"""How the reason begins for which a peer of another version hangs up."""


def versions(running: str | None, reasons: Iterable[str]) -> tuple[bool, str]:
    """running: the version of the running node; None: no node runs. reasons: why peers are not reached."""
    mine = program_version()
    if wrong := list(_wrong_libraries()):
        return False, f"{'; '.join(wrong)}: install banyan again."
    if running is not None and running != mine:
        return (
            False,
            f"The node that runs is banyan {running}, and this command {mine}: `banyan down`, then `banyan up`.",
        )
    if others := [why for why in dict.fromkeys(reasons) if OTHER_PROTOCOL in why]:
        return False, f"A peer is of another version: {others[0]}."
    return True, f"banyan {mine}, with the libraries that it asks for."


def _wrong_libraries() -> Iterator[str]:
    for line in requires(DISTRIBUTION) or ():
        asked, _, marker = line.partition(";")
        if "extra ==" in marker:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", asked.strip(), maxsplit=1)[0]
        try:
            found = version(name)
        except PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if not all(_fits(found, how, bound) for how, bound in _BOUND.findall(asked)):
            yield f"{name} {found} is installed, and {asked.strip()} is asked for"


def _fits(found: str, how: str, bound: str) -> bool:
    """By the numbers of a version: those of the project's own requirements have nothing else that counts."""
    a, b = _numbers(found), _numbers(bound)
    return {"==": a == b, "!=": a != b, ">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b}[how]


def _numbers(text: str) -> tuple[int, ...]:
    """Without zeros at the end: 1.0 is 1. A local version (+...) is none of it."""
    numbers = [int(n) for n in re.findall(r"[0-9]+", re.split(r"[+a-z]", text, maxsplit=1)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
