"""How fast a charter is verified: in full, epoch by epoch, and by a verifier that skips from the founding to the end.

Each epoch lets one member in and one out, and is signed by just more than 2/3 of the votes: a vote and a commit each.
`full_s` reads every act from bytes and checks every signature; `skip_s` reads what a verifier is shown of the epochs
that it stops at. Making the acts is not timed.

python -m bench charter --json
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from banyan_charter.acts import (
    CharterId,
    ContentId,
    Expel,
    Founding,
    admission,
    decode_act,
    encode_act,
    founding_body,
    id_of,
)
from banyan_charter.keytree import KeyTree
from banyan_charter.ledger import ActLedger
from banyan_charter.rules import first_epoch
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.skipping import bundle, skip, way
from banyan_charter.values import Kind, Parameters, Seat
from banyan_crdt.ids import AccountId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from bench.harness import BenchError, arguments, at_least, finish, median, say


class Member:
    def __init__(self, n: int, since: int, numbers: int) -> None:
        name = n.to_bytes(4, "big")
        self.keys = KeyTree.grown(TEST, H("bench", b"keys", name), numbers)
        self.spare = Signer(TEST, H("bench", b"spare", name))
        account = AccountId(name + H("bench", name)[4:])
        keys = self.keys.root, since, self.spare.key
        self.seat = Seat(account, b"m%d.example" % n, Kind.HOST, True, *keys)

    def signer(self, charter: CharterId) -> SeatSigner:
        return SeatSigner(TEST, charter, self.seat.member, self.keys, self.seat.since)


def made(members: int, epochs: int) -> tuple[Founding, Iterator[bytes]]:
    """The founding, and the acts as bytes, epoch by epoch."""
    people = [Member(n, 0, epochs + 1) for n in range(members)]
    seats = tuple(p.seat for p in people)
    founding = Founding(
        ContentId(id_of(TEST, founding_body(b"Bench", seats, Parameters()))), b"Bench", seats, Parameters()
    )
    return founding, _acts(founding, people, epochs)


def _acts(founding: Founding, people: list[Member], epochs: int) -> Iterator[bytes]:
    charter, epoch, seated = CharterId(founding.id), first_epoch(founding), list(people)
    for p in people:
        yield encode_act(p.signer(charter).commit(0, 1, founding.id))
    for number in range(1, epochs + 1):
        new = Member(len(people) + number, number, epochs + 2 - number)
        gone, author, signing = seated[0], seated[1], seated[1 : len(people) * 2 // 3 + 2]
        x, epoch = author.signer(charter).content(
            epoch, (admission(charter, new.seat, new.spare), Expel(gone.seat.member))
        )
        yield encode_act(x)
        for p in signing:
            yield encode_act(p.signer(charter).vote(number, 1, x.id))
        for p in signing:
            yield encode_act(p.signer(charter).commit(number, 1, x.id))
            p.keys.destroy_below(number + 1 - p.seat.since)
        seated = [*seated[1:], new]


def once(founding: Founding, acts: Sequence[bytes], epochs: int) -> dict[str, Any]:
    began = time.perf_counter()
    ledger = ActLedger(TEST, founding)
    for raw in acts:
        act = decode_act(TEST, raw)
        assert not isinstance(act, Founding)
        ledger.add(act)
    ledger.settle()
    full = time.perf_counter() - began
    if len(ledger.epochs) != epochs + 1:
        raise BenchError(f"{len(ledger.epochs)} epochs stand, not {epochs + 1}")
    say(f"in full: {len(acts):,} acts in {full:.1f} s")
    shown = [bundle(ledger, number) for number in way(ledger, 0)]
    sent = [(b, [encode_act(a) for a in b.acts]) for b in shown]
    began, known = time.perf_counter(), ledger.epochs[0]
    for b, raw_acts in sent:
        read = tuple(a for a in (decode_act(TEST, raw) for raw in raw_acts) if not isinstance(a, Founding))
        known = skip(TEST, known, b._replace(acts=read)) or known
    skipped = time.perf_counter() - began
    if known != ledger.epochs[-1]:
        raise BenchError(f"the verifier that skips stopped at epoch {known.number}")
    return {"full_s": full, "skip_s": skipped, "stops": len(shown)}


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: Any) -> None:
        parser.add_argument("--members", type=at_least(4), help="default: 1,000, with --quick 40")
        parser.add_argument("--epochs", type=at_least(1), help="default: 1,000, with --quick 40")

    args = arguments("charter", __doc__, argv, rounds=1, more=more)
    members, epochs = (args.members or (40 if args.quick else 1_000)), (args.epochs or (40 if args.quick else 1_000))
    founding, acts = made(members, epochs)
    raw = list(acts)
    rows = [once(founding, raw, epochs) for _ in range(args.rounds)]
    figures = {k: round(median([row[k] for row in rows]), 3) for k in ("full_s", "skip_s", "stops")}
    size = round(sum(map(len, raw)) / epochs)
    finish(args, "charter", members=members, epochs=epochs, acts=len(raw), bytes_an_epoch=size, **figures)


if __name__ == "__main__":
    main()
