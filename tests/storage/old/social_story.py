"""What the store of schema 5 was given: people who post, answer, edit, delete, react, repost, follow, and take it back.
It runs on that version's code, which wrote the fixture, and on today's: keys and salts come from fixed seeds."""

from __future__ import annotations

import random

from banyan_crdt.entry import Entry
from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run, verify_run
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_schema.social import (
    POST,
    OpDraft,
    Post,
    ReplyTo,
    Target,
    delete_post,
    react,
    relate,
    repost,
    seal,
    set_profile,
    undo,
    write_post,
)
from tests.crdt.make import START, Person, follow, run_bytes
from tests.replica.helpers import NOW_MS

PEOPLE = ("an", "binh", "chi", "eve", "fay", "gus", "hal")


def tell(node: Ingest) -> list[Person]:
    """Writes it all. One post in ten lacks its content."""
    rng = random.Random("schema 5")
    people = [Person(name) for name in PEOPLE]
    chains: dict[str, list[Entry]] = {name: [] for name in PEOPLE}
    posts: list[tuple[Target, Ref]] = []
    adds: dict[str, list[tuple[OpDraft, Ref]]] = {name: [] for name in PEOPLE}
    for person in people:
        node.control(person.id, person.control, NOW_MS)
        node.parts([PartItem(person.control[0].id, 0, person.salt)])

    def say(person: Person, draft: OpDraft) -> Ref:
        op, raw = seal(draft, rng.randbytes(16))
        chain = chains[person.name]
        chain.append(follow(person.full("phone"), person.log(), chain, op, parts=len(raw or b"")))
        run = decode_run(TEST, run_bytes(chain, len(chain) - 1, len(chain)))
        verify_run(TEST, run)
        node.run(run, NOW_MS)
        if raw is not None and rng.random() < 0.9:
            node.parts([PartItem(chain[-1].id, 0, raw)])
        return Ref(chain[-1].id, 0)

    for n in range(400):
        person = rng.choice(people)
        salt, name = person.salt[:16], person.name
        kind = rng.choice(
            ("post", "post", "reply", "reply", "react", "repost", "follow", "liar", "undo", "edit", "name")
        )
        if kind in ("post", "reply") or not posts:
            parent = rng.choice(posts)[0] if posts and kind == "reply" else None
            key = CellKey(rng.randbytes(16))
            post = Post(f"Bài thứ {n}", ReplyTo(parent, parent) if parent else None, created_ms=(START >> 16) + n)
            posts.append((Target(person.id, key), say(person, write_post(key, post))))
        elif kind in ("react", "repost", "follow", "liar"):
            target = rng.choice(posts)[0]
            draft = {
                "react": react(salt, target, rng.choice("❤🌳")),
                "repost": repost(salt, target),
                "follow": relate(salt, "follow", rng.choice(people).id),
                "liar": relate(rng.randbytes(16), rng.choice(("follow", "block")), people[0].id),
            }[kind]
            adds[name].append((draft, say(person, draft)))
        elif kind == "undo" and adds[name]:
            draft, ref = rng.choice(adds[name])
            op = draft.op
            assert isinstance(op, Add)
            say(person, undo(op.coll, [ref]))
        elif kind == "edit":
            own = [(target, ref) for target, ref in posts if target.account == person.id]
            if own and rng.random() < 0.3:
                say(person, delete_post(own[0][0].key))
            elif own:
                target, ref = rng.choice(own)
                say(person, OpDraft(Put(POST, target.key, (ref,), None), write_post(target.key, Post("anew")).content))
        elif kind == "name":
            say(person, set_profile(salt, "name", f"{name} {n}"))
    return people
