"""What the store of schema 4 was given. It runs on that version's code, which wrote the fixture, and on today's, which
says what has to be left: keys and salts come from fixed seeds, so both make the same entries.

    honest   what any version takes, in runs
    lies     what that version took and this one refuses, in the order in which it was handed in
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import CellKey, EntryId, LogId
from banyan_crdt.ops import Put, encode_ops
from banyan_crdt.run import encode_run
from banyan_replica.peers.statements import Withheld, sign_withheld
from banyan_schema.social import POST, Post, encode_post
from tests.crdt.make import START, TICK, Person, add, b32, follow, make_part, run_bytes, signer

Item = tuple[EntryId, int, bytes]
NONSENSE = EntryId(b32("nonsense"))


class Story(NamedTuple):
    people: list[Person]
    honest: list[bytes]
    parts: list[Item]
    withheld: Item
    """(entry, op, reason) of content that this node stopped giving out."""
    lies: list[bytes]
    dropped: dict[LogId, int]
    """Of logs that hold a lie: how many entries are true."""
    bad: list[Entry]
    """All that must go."""


def posts(person: Person, number: int, n: int) -> tuple[list[Entry], list[Item]]:
    """A log of n posts with their content."""
    log: list[Entry] = []
    items: list[Item] = []
    for k in range(n):
        name = f"{person.name} {number} {k}"
        part, raw = make_part(name, encode_post(Post(f"Bài thứ {k}", created_ms=(START >> 16) + k)))
        put = Put(POST, CellKey(b32(name)[:16]), (), part)
        log.append(follow(person.full("phone"), person.log(number=number), log, put, parts=part.size))
        items.append((log[-1].id, 0, raw))
    return log, items


def whole(log: list[Entry], first: int = 0) -> bytes:
    return run_bytes(log, first, len(log))


def tell() -> Story:
    an, binh, chi, eve, fay, gus = (Person(name) for name in ("an", "binh", "chi", "eve", "fay", "gus"))
    hal = Person("hal", device=None)
    hal.grant("phone", until=START + 100 * TICK)
    honest: list[bytes] = []
    parts: list[Item] = []
    lies: list[bytes] = []
    bad: list[Entry] = []

    # posts in two logs, the second in runs of which only the last entry is signed
    one, items = posts(an, 1, 6)
    honest.append(whole(one))
    parts += items
    two = an.write(9, number=2, signed=False)
    two.append(follow(an.full("phone"), an.log(number=2), two, add("end")))
    honest.append(whole(two))
    about = Withheld(signer("platform").key, START >> 16, one[2].id, 0, "an order", "a law", "here", None)
    withheld: Item = (one[2].id, 0, sign_withheld(signer("platform"), about))

    # a fork, one branch of it suspended with its content
    trunk, items = posts(binh, 1, 3)
    parts += items
    left = binh.write(3, below=trunk, tag="left")
    right = binh.write(2, below=trunk, tag="right")
    honest += [whole(left), whole(right, 3)]
    other, items = posts(binh, 2, 2)
    honest.append(whole(other))
    parts += items

    # a cut: of the phone's six entries three count
    cut = chi.write(6)
    honest.append(whole(cut))
    chi.say(chi.cut("phone", cut[2]))

    # a run whose first part is held names a false skip target; two good-looking entries stand on it
    base = eve.write(3)
    honest.append(whole(base))
    false = [*base, follow(eve.full("phone"), eve.log(), base, add("false"), skip=NONSENSE)]
    lies.append(encode_run(false[1:4], base[0].header.total, [(0, NONSENSE)]))
    above = eve.write(2, below=false)
    lies.append(whole(above, 4))
    bad += above[3:]
    kept, items = posts(eve, 2, 2)
    honest.append(whole(kept))
    parts += items

    # a first entry that claims 50 MB below it, with two more on top
    heavy = [follow(fay.full("phone"), fay.log(), [], add("heavy"), total=50_000_000)]
    lies.append(encode_run(heavy, 50_000_000 - len(heavy[0].ops), []))
    heavy = fay.write(2, below=heavy)
    lies.append(whole(heavy, 1))
    bad += heavy

    # the end of a run does not count, so its joint was not looked at: the total below it is a lie
    sound = hal.write(3)
    honest.append(whole(sound))
    jump = follow(
        hal.full("phone"),
        hal.log(),
        sound,
        add("jump"),
        signed=False,
        total=50_000_000 + len(encode_ops((add("jump"),))),
    )
    late = follow(hal.full("phone"), hal.log(), [*sound, jump], add("late"), time=START + 200 * TICK)
    lies.append(encode_run([jump, late], 50_000_000, [(0, sound[0].id)]))
    bad += [jump, late]

    # a false skip target that was suspended with its branch by a fork further down
    stem = gus.write(3)
    honest.append(whole(stem))
    liar = [*stem, follow(gus.full("phone"), gus.log(), stem, add("liar"), skip=NONSENSE)]
    lies.append(encode_run(liar[1:4], stem[0].header.total, [(0, NONSENSE)]))
    lies.append(whole(gus.write(1, below=stem[:2], tag="twig"), 2))
    bad.append(liar[3])

    dropped = {eve.log(): 3, fay.log(): 0, hal.log(): 3, gus.log(): 2}
    return Story([an, binh, chi, eve, fay, gus, hal], honest, parts, withheld, lies, dropped, bad)
