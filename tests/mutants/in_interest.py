"""Mistakes in what a node of chosen accounts holds, names to its peers and compares with them."""

from tests.mutants.mutant import Mutant

_FOLLOWS, _REACH = "node/banyan_node/hosting/interest.py", "node/banyan_node/hosting/reach.py"
_NAMES = "replica/banyan_replica/sync/names.py"
_INTEREST, _SHARES = "replica/banyan_replica/sync/interest.py", "replica/banyan_replica/sync/shares.py"
_HELD = ("tests/node/test_interest_follows.py",)
_COMPARED, _NAMED = ("tests/replica/test_interest.py",), ("tests/replica/test_names.py",)

IN_INTEREST = (
    Mutant(
        "names that stay are kept twice when others change",
        _NAMES,
        "self.held.update((same.get(name, name), None) for name in names.held)",
        "self.held.update(names.held)",
        _COMPARED,
    ),
    Mutant(
        "the share of a node has a table of names of its own",
        _INTEREST,
        "Share(self._store, self._public, self._mine.held)",
        "Share(self._store, self._public, dict(self._mine.held))",
        _COMPARED,
    ),
    Mutant(
        "a node that holds all is complete among peers that hold little",
        "node/banyan_node/links/completeness.py",
        "elif not seen.witnessed:",
        "elif False:",
        ("tests/node/test_completeness.py",),
    ),
    Mutant(
        "a named peer that is ahead is called a stranger",
        "node/banyan_node/links/completeness.py",
        "return _named_ahead(at, seen) or (",
        "return (",
        ("tests/node/test_completeness.py",),
    ),
    Mutant(
        "why nothing of a log is taken is not told",
        "node/banyan_node/links/completeness.py",
        "    if (refused := _refused(at, seen)) is not None:",
        "    if (refused := _refused(at, seen)) is not None and False:",
        ("tests/node/test_completeness.py",),
    ),
    Mutant(
        "an account that was dropped keeps a node from being complete",
        "node/banyan_node/api/methods/node_state.py",
        "all(f.complete or f.dropped for f in following)",
        "all(f.complete for f in following)",
        ("tests/node/test_dropping.py",),
    ),
    Mutant(
        "an account that was erased is counted for ever",
        "node/banyan_node/hosting/dropped.py",
        "    store.forget(account)\n",
        "",
        ("tests/node/test_dropping.py",),
    ),
    Mutant(
        "room that comes back between two looks is not noticed",
        "replica/banyan_replica/sync/asking.py",
        "        self._shut |= bool(why and self.strangers.full)\n",
        "",
        ("tests/replica/test_strangers.py",),
    ),
    Mutant(
        "what came is called diverged",
        "node/banyan_node/api/differing.py",
        "if mine != theirs and not reached:",
        "if mine != theirs:",
        ("tests/node/test_completeness.py",),
    ),
    Mutant(
        "an account is shown while it is erased",
        "storage/banyan_storage/queries.py",
        "        return target.account in self.leaving or any(",
        "        return any(",
        ("tests/node/test_dropping.py",),
    ),
    Mutant(
        "an erased account goes in one step",
        "node/banyan_node/hosting/dropped.py",
        "    store, left = ctx.store, AT_ONCE\n",
        "    store, left = ctx.store, 1 << 40\n",
        ("tests/node/test_dropping.py",),
    ),
    Mutant(
        "a step of erasing leaves half of a run",
        "storage/banyan_storage/rewriting.py",
        "if len(gone) >= most and stretch.signed:",
        "if len(gone) >= most:",
        ("tests/storage/test_store.py",),
    ),
    Mutant(
        "who is let in again while it is erased is not shown",
        "node/banyan_node/hosting/dropped.py",
        "ctx.replica.ingest.slow.recount(account, set(), ctx.replica.wall_ms(now) // 1000, rebuild=True)",
        "pass",
        ("tests/node/test_dropping.py",),
    ),
    Mutant(
        "who left for want of room is held again at once",
        "replica/banyan_replica/sync/notices.py",
        "asked.found.pop(most, None)",
        "pass",
        ("tests/replica/test_notices.py",),
    ),
    Mutant("of those far away as many are held as there are", _REACH, "len(found) >= self._most:", "False:", _HELD),
    Mutant(
        "who is followed first takes all the room",
        _REACH,
        "                left.append(one)",
        "                left.append(one)\n                yield from one",
        _HELD,
    ),
    Mutant(
        "of whom nobody here follows any more the follows stay known",
        _REACH,
        "self.known, self._roots = self.known, {}, roots",
        "self._roots = self.known, roots",
        _HELD,
    ),
    Mutant(
        "whom others follow is read again each time",
        _FOLLOWS,
        "if far or a in roots or not known.accounts",
        "if True",
        _HELD,
    ),
    Mutant(
        "what others followed during the minute is forgotten", _FOLLOWS, "else self._later | now", "else now", _HELD
    ),
    Mutant(
        "of an account that was unknown its follows come a minute later", _FOLLOWS, " or not known.accounts", "", _HELD
    ),
    Mutant(
        "names beyond the room are kept", _NAMES, "come = come[: max(0, room - len(self) + len(go))]", "pass", _NAMED
    ),
    Mutant(
        "new names are sent before others are removed",
        _NAMES,
        "*_frames(REMOVE, go), *_frames(ADD, come)",
        "*_frames(ADD, come), *_frames(REMOVE, go)",
        _NAMED,
    ),
    Mutant(
        "names are added although those that go may be there still",
        _NAMES,
        "len(self.others.union(come)) > self.limit",
        "len(come) > self.limit",
        _NAMED,
    ),
    Mutant(
        "changes are sent while others are on their way",
        _NAMES,
        "        if not self.known:\n            return []\n",
        "",
        _NAMED,
    ),
    Mutant(
        "nobody notices how many names a peer keeps",
        _NAMES,
        "return int(found[0]) + 1 if len(found) else None",
        "return None",
        _NAMED,
    ),
    Mutant(
        "names that have not arrived yet count as forgotten", _NAMES, "now >= self.since + AGAIN_S)", "True)", _NAMED
    ),
    Mutant(
        "a peer that had no room is never asked again",
        _NAMES,
        "else (max(2 * self.kept, LEAST), True)",
        "else (self.kept, True)",
        _NAMED,
    ),
    Mutant("names are sent again ever as soon", _NAMES, "min(2 * self.pause_s, AGAIN_MOST_S)", "AGAIN_S", _NAMED),
    Mutant("one loss slows all that follow it", _NAMES, "AGAIN_S if enough else min(", "min(", _NAMED),
    Mutant(
        "names that were lost are not sent again",
        _NAMES,
        "return self._replace(unique, now)\n            self.most",
        "return []\n            self.most",
        _NAMED,
    ),
    Mutant(
        "while more names are tried nothing is compared", _NAMES, "self.short and kept == self.kept", "False", _NAMED
    ),
    Mutant(
        "what the peer does not keep is compared",
        _INTEREST,
        "pair.compared, pair.keeps = told, ours.keeps",
        "pair.compared, pair.keeps = told, ours.names.held",
        _COMPARED,
    ),
    Mutant(
        "what is compared stays what it was when other accounts are held",
        _INTEREST,
        '                pair.compared = b""\n                self._send',
        "                self._send",
        _NAMED,
    ),
    Mutant("names of all peers together have no bound", _INTEREST, "while beyond > 0:", "while False:", _COMPARED),
    Mutant(
        "names of honest peers go first", _INTEREST, "(groups[self._group(peer)], held[peer])", "held[peer]", _COMPARED
    ),
    Mutant(
        "a peer for which there is less room loses all its names",
        _INTEREST,
        "kept = max(held[most] - beyond, held[most] // 2)",
        "kept = 0",
        _COMPARED,
    ),
    Mutant(
        "accounts of very many logs are all compared",
        _INTEREST,
        "if many and pair.theirs is not None else 0",
        "if False else 0",
        _COMPARED,
    ),
    Mutant(
        "who names accounts hears only at the next usual time that nothing is missing",
        _INTEREST,
        "        pair.unheard = True\n        link.load",
        "        link.load",
        _COMPARED,
    ),
    Mutant(
        "who named accounts once is told every second for ever",
        "replica/banyan_replica/sync/sync.py",
        "pair.unheard = False",
        "pass",
        _COMPARED,
    ),
    Mutant(
        "what is read in the background waits for nobody",
        _INTEREST,
        "pair.share.tree.busy and not self.waits(peer)",
        "pair.share.tree.busy",
        _COMPARED,
    ),
    Mutant(
        "a share is read to its end before the next",
        _INTEREST,
        "self._pairs[reader] = self._pairs.pop(reader)",
        "pass",
        _COMPARED,
    ),
    Mutant(
        "an account of many logs costs as one of one log",
        _SHARES,
        "return len(come) + len(go) + len(gone) + len(came)",
        "return len(come) + len(go)",
        _COMPARED,
    ),
)
