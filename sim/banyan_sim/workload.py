"""People: what they write while faults happen, from several machines each, control operations included.

Each account has a home, which holds its root key and a device, and later a second machine, which is granted a device.
If a machine cannot do something (it is down, does not hold the account yet, lost its grant), it is not done, and not
queued for later.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, Coll, EntryId, LogId, Ref, key_digest
from banyan_crdt.ops import Add, ControlOp, Cut, KeptTip, Pin, Put, Rotate, Tomb
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.replica import Replica
from banyan_schema import social
from banyan_schema.social import Target
from banyan_sim.machine import Machine

ACTS = (
    ("post", 30), ("reply", 14), ("react", 10), ("follow", 8), ("edit", 8), ("delete", 4), ("profile", 4), ("undo", 4),
    ("burst", 3), ("grant", 6), ("pin", 3), ("rotate", 3), ("cut", 2),
)  # fmt: skip
_GENERATIONS = 16


@dataclass(slots=True)
class Device:
    """A writer of one account on one machine."""

    node: Machine
    signer: Signer
    log: int = 1


@dataclass(slots=True)
class SimPerson:
    """`posts`: each post and its newest write. `live`: (collection, add) that could be undone."""

    name: str
    roots: list[Signer]
    salt: bytes
    devices: list[Device]
    account: AccountId | None = None
    posts: dict[Target, Ref] = field(default_factory=dict)
    live: list[tuple[Coll, Ref]] = field(default_factory=list)

    @property
    def homes(self) -> list[Machine]:
        return [device.node for device in self.devices]


class Workload:
    """`done` counts acts by name, `refused` those that the machine could not do."""

    def __init__(self, seed: int, rng: random.Random, nodes: Sequence[Machine], people: int) -> None:
        self.rng = rng
        self.people: list[SimPerson] = []
        self.done: dict[str, int] = {}
        self.refused = 0
        for i in range(people):
            keys = random.Random(f"{seed}/person {i}")
            homes = rng.sample(list(nodes), 2) if len(nodes) > 1 else [nodes[0], nodes[0]]
            roots = [Signer(TEST, keys.randbytes(32)) for _ in range(_GENERATIONS)]
            devices = [Device(home, Signer(TEST, keys.randbytes(32))) for home in homes]
            self.people.append(SimPerson(f"p{i}", roots, keys.randbytes(16), devices))

    def open_all(self) -> None:
        """Every person opens an account at home."""
        for person in self.people:
            person.devices[0].node.feed(partial(self._open, person))

    def act(self) -> None:
        """One person does one thing."""
        person = self.people[self.rng.randrange(len(self.people))]
        what = self.rng.choices([name for name, _ in ACTS], [weight for _, weight in ACTS])[0]
        control = what in ("grant", "pin", "rotate", "cut")
        device = person.devices[0 if control else self.rng.randrange(len(person.devices))]

        def job(r: Replica, now: float) -> None:
            try:
                (self._control if control else self._write)(person, device, what, r, now)
                self.done[what] = self.done.get(what, 0) + 1
            except Refused:
                self.refused += 1

        if device.node.up:
            device.node.feed(job)
        else:
            self.refused += 1

    # -- inside

    def _open(self, p: SimPerson, r: Replica, now: float) -> None:
        home = p.devices[0]
        slots = [(p.roots[0], key_digest(p.roots[1].key))]
        p.account, _ = r.author.open_account(slots, p.salt, [grant_to(home.signer.key, 4)], home.node.wall_ms())
        r.writes.publish_control(p.account, now)

    def _control(self, p: SimPerson, home: Device, what: str, r: Replica, now: float) -> None:
        account = self._held(p, r)
        state = r.ingest.control_of(account)
        assert state is not None
        g = next(i for i, k in enumerate(p.roots) if key_digest(k.key) == state.keys[0].current)
        second = p.devices[1]
        their_log = LogId(account, second.signer.key, second.log)
        head = r.ingest.head(their_log)
        signer, op = p.roots[g], _grant_or_cut(what, second, head.length, r.store.id_at(their_log, head.length - 1))
        if what == "rotate":
            if g + 2 >= len(p.roots):
                raise Refused("this person has no more keys")
            signer, op = p.roots[g + 1], Rotate(0, key_digest(p.roots[g + 2].key))
        elif what == "grant" and second.signer.key in state.cuts:
            raise Refused("a writer that was cut off stays so")
        r.author.control(account, signer, op, home.node.wall_ms())
        r.writes.publish_control(account, now)

    def _write(self, p: SimPerson, device: Device, what: str, r: Replica, now: float) -> None:
        account = self._held(p, r)
        drafts = [draft for _ in range(20 if what == "burst" else 1) for draft in self._drafts(p, account, what, r)]
        if not drafts:
            return
        log = LogId(account, device.signer.key, device.log)
        if r.ingest.head(log).flag:
            device.log += 1
            log = log._replace(log=device.log)
        one = EntryDraft(tuple(d.op for d in drafts), tuple(d.content for d in drafts))
        each = [EntryDraft((d.op,), (d.content,)) for d in drafts] if what == "burst" else [one]
        entries = [e for w in r.writes.publish(log, device.signer, each, now) for e in w.entries]
        for i, draft in enumerate(drafts):
            ref = Ref(entries[i].id, 0) if what == "burst" else Ref(entries[0].id, i)
            if isinstance(draft.op, Put) and draft.op.coll == social.POST:
                p.posts[Target(account, draft.op.key)] = ref
            elif isinstance(draft.op, Tomb):
                p.posts.pop(Target(account, draft.op.key), None)
            elif what in ("react", "follow") and isinstance(draft.op, Add):
                p.live.append((draft.op.coll, ref))

    def _drafts(self, p: SimPerson, account: AccountId, what: str, r: Replica) -> list[social.OpDraft]:
        rng = self.rng
        text = f"{p.name} says {rng.randrange(10**9)} " * rng.randint(1, 8)
        mine = list(p.posts)
        theirs = [t for q in self.people for t in q.posts]
        other = self.people[rng.randrange(len(self.people))].account
        match what:
            case "reply" if theirs:
                parent = theirs[rng.randrange(len(theirs))]
                post = social.Post(text, social.ReplyTo(parent, parent))
                return [social.write_post(social.post_key(p.salt, rng.randbytes(16)), post)]
            case "react" if theirs:
                return [social.react(p.salt, theirs[rng.randrange(len(theirs))], rng.choice("👍🌳😀"))]
            case "follow" if other is not None:
                return [social.relate(p.salt, "follow", other)]
            case "edit" if mine:
                target = mine[rng.randrange(len(mine))]
                return [social.write_post(target.key, social.Post(text), [p.posts[target]])]
            case "delete" if mine:
                return [social.delete_post(mine[rng.randrange(len(mine))].key)]
            case "undo" if p.live:
                collection, ref = p.live.pop(rng.randrange(len(p.live)))
                return [social.undo(collection, [ref])]
            case "profile":
                return [social.set_profile(p.salt, rng.choice(("name", "bio")), text)]
            case _:
                return [social.write_post(social.post_key(p.salt, rng.randbytes(16)), social.Post(text))]

    def _held(self, p: SimPerson, r: Replica) -> AccountId:
        if p.account is None or r.ingest.control_of(p.account) is None:
            raise Refused("the account is not held here")
        return p.account


def _grant_or_cut(what: str, device: Device, length: int, last: EntryId | None) -> ControlOp | Pin:
    writer = device.signer.key
    if what == "pin" and last is not None:
        return Pin(writer, device.log, length - 1, last)
    if what == "cut":
        kept = (KeptTip(device.log, length - 1, last),) if last is not None else ()
        return Cut(writer, kept)
    return grant_to(writer)
