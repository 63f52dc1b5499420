"""The attack laboratory: what strangers with free identities do to an honest pair of real nodes, in figures.

A victim posts at a steady rate and its honest neighbour receives, each a process with a node on a home of its own. In a
process of their own, strangers then attack the victim over libp2p on loopback, speaking the frames of docs/protocol.md.
Measured before, during and after each attack: when a post is acknowledged and when it is at the neighbour, the victim's
memory, CPU and disk, what the two honest nodes hold against one another, and how long a newcomer takes to catch up.

| module | what |
|---|---|
| `laboratory.py` | the bench's side: the processes, the phases, the rows |
| `honest.py` | the roles of the honest nodes |
| `monitor.py` | samples of the victim, and the figures of a phase |
| `verdict.py` | from which figures on an attack hurts |
| `strangers.py` | free identities: each a libp2p host that says what it likes |
| `attack.py` | which attacks there are: those of messages, which the simulator runs too, and those of sockets |
| `table.py` | the rows as a table, and docs/threats.md |
| `attacks/` | one module per attack that needs sockets; the others, and what all are made of, are in `banyan_sim` |

python -m bench attack --json --seconds 30 --identities 50
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the bench. Imported here and not above, so that `bench.attack.table` can be run by itself."""
    from bench.attack import laboratory

    laboratory.main(argv)
