"""Mistakes in public logs: translog/ and the node's transparency/."""

from tests.mutants.mutant import Mutant

NOTES, LOG, NODES = "tests/translog/test_notes.py", "tests/node/test_public_log.py", "tests/web/test_transparency.py"
READS = "tests/node/test_member_logs.py"

IN_TRANSLOG = (
    Mutant(
        "a tree that was damaged is signed",
        "PublicLog.append",
        "raise StorageError(f'the tiles of {self.folder} are damaged: their root is not that of its checkpoint')",
        "pass",
        (LOG,),
    ),
    Mutant("a folder that was put back is signed", "lines.take", "log.size < first", "False", (LOG,)),
    Mutant(
        "lines are appended again after a crash", "lines.take", "log.append(raws[before:])", "log.append(raws)", (LOG,)
    ),
    Mutant(
        "a line of another store is taken for this one's",
        "lines.take",
        "[log.line(first + n) for n in range(before)] != raws[:before]",
        "False",
        (LOG,),
    ),
    Mutant("a witness forgets what it cosigned", "witnessing.cosign", "found.cosigned is not None", "False", (NODES,)),
    Mutant(
        "a node is a witness of its own log",
        "witnessing.cosign",
        "keys.pop(own.signer.key.name, None)",
        "None",
        (NODES,),
    ),
    Mutant(
        "the proof of two histories is not kept",
        "witnessing._suspect",
        "TWO_HISTORIES.put(ctx.store, new.origin, TwoNotes(held, shown.raw))",
        "None",
        (NODES,),
    ),
    Mutant("a proof about another post is one", "remote_log._checked", "found['uri'] != uri", "False", (NODES,)),
    Mutant(
        "an order of another id is shown",
        "remote_log._checked",
        "order_id(account_from_text(found['issuer']), notice) != order",
        "False",
        (NODES,),
    ),
    Mutant("a salt of another post is one", "remote_log._checked", "reached != notice.root", "False", (NODES,)),
    Mutant(
        "a line of a member's log is taken without its proof",
        "member_logs.read",
        "verify_inclusion(leaf_hash(raw), index, top.size, inclusion_proof(hashes, index, top.size), top.root)",
        "None",
        (READS,),
    ),
    Mutant("a line of another account counts", "member_logs.read", "line.by in one.accounts", "True", (READS,)),
    Mutant("witnesses move time ahead", "witnessing.go_on", "min(ms, ctx.replica.wall_ms(now))", "ms", (READS,)),
    Mutant(
        "salts have no limit",
        "transparency.withheld",
        "web.bounds.take('salt', ask.address, SALTS, SALTS_S).over",
        "False",
        (NODES,),
    ),
)
