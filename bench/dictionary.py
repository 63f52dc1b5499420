"""The dictionaries of the firehose: what they save, and how they are made anew.

People of a made-up network write posts, answers, edits, reactions, reposts, follows and profiles into a store. Of what
the firehose tells of one half of them a dictionary is made, and on the other half it is measured: bytes an event as the
firehose sends it, alone and twenty in a piece, as they come at a thousand a second.

python -m bench dictionary --json
python -m bench dictionary --write web/banyan_web/firehose/dictionaries      # replaces those that come with the program
"""

from __future__ import annotations

import random
import time
from argparse import ArgumentParser
from base64 import b64decode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from backports import zstd

from banyan_crdt.firehose import PLACE, frame
from banyan_node.home.folder import Home
from banyan_node.home.settings import load
from banyan_node.local import open_local
from banyan_web.firehose.encodings import LEVEL, dictionaries
from bench.harness import arguments, at_least, finish, say, workplace
from bench.rig.processes import new_home

DICTIONARY_BYTES = 16 << 10
PIECE = 20
"""Events in a piece: what comes in 20 ms at a thousand a second."""
FORMATS = ("ndjson", "cbor")
_WORDS = [
    "và",
    "của",
    "là",
    "có",
    "không",
    "được",
    "cho",
    "một",
    "người",
    "các",
    "trong",
    "đã",
    "với",
    "những",
    "khi",
    "này",
    "đến",
    "về",
    "như",
    "ra",
    "cũng",
    "nhiều",
    "ngày",
    "năm",
    "làm",
    "mới",
    "nhà",
    "nước",
    "hôm",
    "nay",
    "anh",
    "chị",
    "em",
    "bạn",
    "mình",
    "thấy",
    "đi",
    "học",
    "việc",
    "sau",
    "trước",
    "rất",
    "hơn",
    "còn",
    "phải",
    "nên",
    "thì",
    "mà",
    "vì",
    "nếu",
    "ở",
    "trên",
    "dưới",
    "ăn",
    "uống",
    "chơi",
    "đẹp",
    "vui",
    "the",
    "and",
    "of",
    "to",
    "a",
    "in",
    "is",
    "it",
    "you",
    "that",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "at",
    "be",
    "this",
    "have",
    "from",
    "or",
    "one",
    "had",
    "by",
    "but",
    "not",
    "what",
    "all",
    "were",
    "we",
    "when",
    "your",
    "can",
    "said",
    "there",
    "use",
    "an",
    "each",
    "which",
    "she",
    "do",
    "how",
    "their",
    "if",
    "will",
    "up",
    "other",
    "about",
    "out",
    "many",
    "then",
    "them",
    "these",
    "so",
    "some",
    "her",
    "would",
]


class Sample(NamedTuple):
    """An event as it is sent. known: whether it is of the people of whom the dictionary is made."""

    known: bool
    raw: bytes


class Told(NamedTuple):
    """What the firehose sends of a store, in each of the forms."""

    ndjson: list[Sample]
    cbor: list[Sample]


def told(folder: Path, accounts: int, events: int) -> Told:
    """Of a store that is filled here."""
    home = Home(new_home(folder / "dictionary"))
    rng = random.Random(1)
    with open_local(home, load(home, {})) as node:
        names = [f"người {n}" for n in range(accounts)]
        node.call("account.create", name="publisher")
        dids = [node.call("account.create", name=name, hosted=True)["account"] for name in names]
        uris: list[str] = []
        operations = [_operation(rng, n, names, dids) for n in range(events)]
        for first in range(0, events, 500):
            some = [one(uris) for one in operations[first : first + 500]]
            rows = node.call("bulk.write", operations=some)["rows"]
            uris += [row["answer"]["uri"] for row in rows if "uri" in (row["answer"] or {})]
        events_ = _pages(node.call, "firehose", "events")
        lines = [Sample(_is_known(event), msgspec.json.encode(event) + b"\n") for event in events_]
        now = int(time.time() * 1000)
        runs = [
            Sample(_is_known(item), b64decode(item["frames"]) + frame(PLACE, item["cursor"].encode(), now))
            for item in _pages(node.call, "firehose.runs", "items")
        ]
    return Told(lines, runs)


def _is_known(row: dict[str, Any]) -> bool:
    return sha256(row["account"].encode()).digest()[0] < 128


def _operation(
    rng: random.Random, n: int, names: Sequence[str], dids: Sequence[str]
) -> Callable[[Sequence[str]], dict[str, Any]]:
    """An operation; which post it is about is known when it is done."""
    kind = rng.choices(["post", "reply", "edit", "react", "repost", "follow", "profile.set"], [50, 18, 3, 14, 7, 7, 1])[
        0
    ]
    who, text = rng.randrange(len(names)), " ".join(rng.choices(_WORDS, k=rng.randrange(4, 40)))
    other, which, emoji = rng.choice(dids), rng.random(), rng.choice("❤🌸👍😂🌳")

    def made(uris: Sequence[str]) -> dict[str, Any]:
        base = {"id": f"{n}", "as": names[who]}
        if kind == "follow":
            return {**base, "do": kind, "account": other}
        if kind == "profile.set":
            return {**base, "do": kind, "fields": {"bio": text}}
        if kind == "post" or not uris:
            return {**base, "do": "post", "text": text, "lang": "vi" if n % 3 else "en"}
        uri = uris[int(len(uris) * which)]
        if kind == "edit":
            return {**base, "do": kind, "uri": uri, "text": text, "as": uri.partition("/")[0]}
        more = {"reply": {"text": text}, "react": {"emoji": emoji}, "repost": {}}[kind]
        return {**base, "do": kind, "uri": uri, **more}

    return made


def _pages(call: Callable[..., Any], method: str, rows: str) -> list[Any]:
    found, since, more = [], "begin", True
    while more:
        page = call(method, since=since)
        found += page[rows]
        since, more = page["cursor"], page["more"]
    return found


def trained(samples: Sequence[bytes]) -> bytes:
    return zstd.train_dict(list(samples), DICTIONARY_BYTES).dict_content


def sizes(samples: Sequence[bytes], dictionary: bytes, together: int) -> dict[str, float]:
    """Bytes an event: plain, packed, and packed with the dictionary."""
    pieces = [b"".join(samples[at : at + together]) for at in range(0, len(samples), together)]
    known = zstd.ZstdDict(dictionary)

    def each(of: Callable[[bytes], bytes]) -> float:
        return round(sum(len(of(piece)) for piece in pieces) / len(samples), 1)

    return {
        "plain": each(lambda piece: piece),
        "zstd": each(lambda piece: zstd.compress(piece, LEVEL)),
        "zstd_dictionary": each(lambda piece: zstd.compress(piece, LEVEL, zstd_dict=known)),
    }


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: ArgumentParser) -> None:
        parser.add_argument("--accounts", type=at_least(2), help="default: 200, with --quick 20")
        parser.add_argument("--events", type=at_least(100), help="default: 12,000, with --quick 1,000")
        parser.add_argument("--write", type=Path, help="a folder: new dictionaries are written there")

    args = arguments("dictionary", __doc__, argv, rounds=1, more=more)
    accounts, events = args.accounts or (20 if args.quick else 200), args.events or (1_000 if args.quick else 12_000)
    with workplace(args.folder) as folder:
        found = told(folder, accounts, events)
    shipped = {one.of: one.raw for one in dictionaries().values()}
    figures: dict[str, Any] = {}
    for name in FORMATS:
        samples: list[Sample] = getattr(found, name)
        learnt = [one.raw for one in samples if one.known]
        rest = [one.raw for one in samples if not one.known]
        raw = shipped.get(name, b"")
        if args.write is not None or not raw:
            raw = trained(learnt)
        if args.write is not None:
            args.write.mkdir(parents=True, exist_ok=True)
            (args.write / f"{name}.zdict").write_bytes(raw)
            say(f"{args.write / name}.zdict: {len(raw):,} bytes, {sha256(raw).hexdigest()}")
        figures[name] = {"alone": sizes(rest, raw, 1), "together": sizes(rest, raw, PIECE)}
        say(f"{name}: bytes an event {figures[name]}")
    finish(
        args,
        "dictionary",
        bytes_per_event=figures,
        sizes={"accounts": accounts, "events": len(found.ndjson), "runs": len(found.cbor), "piece": PIECE},
    )


if __name__ == "__main__":
    main()
