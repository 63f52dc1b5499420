"""python -m bench NAME [options]: runs one bench. Without a name it lists all benches."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

from bench.harness import BenchError

BENCHES = {
    "ingest": "entries of others through decode, verify, judge, store, views and commit, in one process",
    "disk": "where the bytes of a store are, by table and by what its pages are for",
    "create": "entries written and signed here: in batches, and by 64 publishers at once",
    "catchup": "a fresh node, and one that was away, catch up from a peer over libp2p",
    "reconcile": "what finding the differences between two frontiers costs",
    "live": "one publisher, 20 nodes in 2 processes, 200 entries a second",
    "browser": "what a person at a real browser waits for: news, the first page, the check of signatures",
    "firehose": "10 consumers of the firehose at 1,000 events a second; 2,000 apps that only listen",
    "query": "timeline, thread, profile and followers on small and large stores",
    "everybody": "a page of everybody's posts with 1,000 accounts and with 100,000",
    "social": "what a screen costs on a node with a million posts: home, threads, notifications, search",
    "dictionary": "bytes an event of the firehose, and what its dictionaries save; makes them anew",
    "door": "a home timeline and posts over HTTP by 16 clients, served by the node and by workers",
    "hosting": "accounts and operations of a platform's users, in bulk over HTTP",
    "growth": "what an entry costs on a large store against a small one; memory, disk, start",
    "start": "seconds to ready and memory of a node that holds 10,000,000 logs",
    "moving": "an archive of 100,000 posts moves into one account",
    "commands": "what one command costs, and which of its imports cost what",
    "upkeep": "an entry more on a forked account, a control entry more of a long log, an idle link",
    "peers": "other systems of signed feeds, in turn with this one",
    "lines": "how a newcomer catches up over slow lines, and lines that pause",
    "codec": "the wire's strict decoder against a general one",
    "charter": "how fast the charter of an alliance is verified, in full and by skipping",
    "hosted": "what a charter costs those that catch up, and live posts",
    "quota": "which people of a flooded member others keep, and how soon after it drops the bots",
    "small": "what a small node hears beside what it follows, while everybody writes",
    "orders": "how soon an order of an alliance is carried out and answered, on three real nodes",
    "labels": "what a million labels cost a node that follows whoever gives them",
    "translog": "a public log of a million lines: appending, and proofs",
    "edge": "how fast one link is",
    "blobs": "how fast a film goes from one node to another, and whether posts are late meanwhile",
    "attack": "what strangers with free identities do to an honest pair of nodes, attack by attack",
    "siege": "a newcomer with three honest contacts against a thousand identities of twenty networks, real nodes",
    "gossip": "delivery at thousands of nodes in virtual time",
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print("usage: python -m bench NAME [--json] [--quick] [--rounds N] [--folder PATH]\n")
        print("\n".join(f"  {name:10} {about}" for name, about in BENCHES.items()))
        return 0 if words else 2
    name = words[0]
    if name not in BENCHES:
        near = difflib.get_close_matches(name, BENCHES, 1)
        hint = f"perhaps {near[0]} was meant" if near else f"there are {', '.join(BENCHES)}"
        print(f"bench: there is no bench '{name}'; {hint}.", file=sys.stderr)
        return 2
    try:
        importlib.import_module(f"bench.{name}").main(words[1:])
    except BenchError as why:
        print(f"bench {name}: {why}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"bench {name}: stopped; nothing was measured.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
