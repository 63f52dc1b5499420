"""Mistakes in the firehose and the streams of apps: what is missed, told twice, or told to the wrong ones."""

from tests.mutants.mutant import Mutant

_METHOD, _EVENTS = "node/banyan_node/api/methods/firehose.py", "node/banyan_node/api/firehose.py"
_TAIL, _FOLLOWING = "web/banyan_web/firehose/tail.py", "web/banyan_web/firehose/following.py"
_SEEN = "node/banyan_node/api/seen.py"
_HUB, _SOCKETS = "web/banyan_web/mastodon/streaming/hub.py", "node/banyan_node/server/web_sockets.py"
_PAGES, _HTTP, _APPS = (
    ("tests/node/test_firehose.py",),
    ("tests/web/test_firehose.py",),
    ("tests/web/test_streaming.py",),
)

_GIVEN, _WALK = "storage/banyan_storage/given_out.py", ("tests/web/test_given_out.py",)

IN_FIREHOSE = (
    Mutant(
        "hidden posts are told",
        _GIVEN,
        "if coll == POST and self._q.is_hidden",
        "if False and self._q.is_hidden",
        _WALK,
    ),
    Mutant(
        "deleted posts are told to readers that begin early",
        _GIVEN,
        " and not self._q.is_dead(account, coll, key)",
        "",
        ("tests/node/test_deleted_by_a_thief.py",),
    ),
    Mutant("the end that is kept outlives a deletion", _TAIL, 'kind in ("delete", "account")', "False", _WALK),
    Mutant(
        "the end that is kept outlives a decision",
        "storage/banyan_storage/acts.py",
        '"hidden": ActRule(False, True,',
        '"hidden": ActRule(False, False,',
        _WALK,
    ),
    Mutant(
        "who reads learns why",
        _FOLLOWING,
        "if self.moderation or (rule := of_kind(one.kind)) is None or",
        "if True or (rule := of_kind(one.kind)) is None or",
        ("tests/web/test_acts.py",),
    ),
    Mutant(
        "signed entries tell no act",
        "node/banyan_node/api/methods/firehose_runs.py",
        "frame(\n            ACT,",
        'b"" and frame(\n            ACT,',
        ("tests/node/test_acts.py",),
    ),
    Mutant(
        "a verdict about an account tells nothing",
        "node/banyan_node/api/methods/decisions.py",
        "ctx.store.note_act(_ACT[verdict], account)",
        "pass",
        ("tests/node/test_acts.py",),
    ),
    Mutant(
        "a cut of entries is in no journal",
        "storage/banyan_storage/rewriting.py",
        'if loose:\n            self.note_act("recounted", log.account)',
        "if loose:\n            pass",
        ("tests/node/test_acts.py",),
    ),
    Mutant(
        "a cursor does not say which acts were told",
        _EVENTS,
        'f"-{a}" if a else ""',
        '""',
        ("tests/node/test_acts.py",),
    ),
    Mutant(
        "an archive for readers has content that does not count",
        "storage/banyan_storage/archive.py",
        "((counts or reader.is_counted(e.id)) and out.gives(account, op))",
        "out.gives(account, op)",
        _WALK,
    ),
    Mutant(
        "wrapped keys are told to who may not read what they open",
        _FOLLOWING,
        'frozenset(("private", "keyring"))',
        'frozenset(("private",))',
        ("tests/web/test_firehose_proofs.py",),
    ),
    Mutant(
        "what is brought privately stands in the proof of what is brought publicly",
        "node/banyan_node/api/methods/moving.py",
        "[*packed(sealed), *packed(drafts)]",
        "packed([*drafts, *sealed])",
        ("tests/web/test_firehose_proofs.py",),
    ),
    Mutant(
        "who is ahead of what is kept is led back to its end",
        _FOLLOWING,
        "end = tail.cursor if tail.end is not None and tail.end > place else cursor",
        "end = tail.cursor",
        _HTTP,
    ),
    Mutant(
        "a cursor inside an entry tells its first operations again",
        _METHOD,
        "if number < skip or not (event.counts",
        "if not (event.counts",
        _PAGES,
    ),
    Mutant(
        "the firehose tells what does not count",
        _METHOD,
        "not (event.counts or ask.uncounted) or not wanted",
        "not wanted",
        _PAGES,
    ),
    Mutant(
        "a page that is full skips the event that had no room",
        _METHOD,
        "cursor_text(store, row.n - 1, number, making.last_act), True",
        "cursor_text(store, row.n - 1, number + 1, making.last_act), True",
        _PAGES,
    ),
    Mutant(
        "the proof of an entry ends before the signature",
        _EVENTS,
        "self._reader.chain(log, row.seq, end + 1)",
        "self._reader.chain(log, row.seq, end)",
        _PAGES,
    ),
    Mutant(
        "a follower that is behind what is kept skips to it",
        _TAIL,
        "if self._first is None or place < self._first or",
        "if self._first is None or",
        _HTTP,
    ),
    Mutant(
        "what is dropped from the end is taken for kept",
        _TAIL,
        "            self._first = self._places[oldest - 1]\n",
        "",
        _HTTP,
    ),
    Mutant(
        "a follower is told its last event again",
        _TAIL,
        "bisect_right(self._places, place)",
        "max(0, bisect_right(self._places, place) - 1)",
        _HTTP,
    ),
    Mutant(
        "a late confirmation takes back a newer one",
        "web/banyan_web/firehose/consumers.py",
        "if not back and same_store",
        "if False",
        _HTTP,
    ),
    Mutant(
        "a slow consumer is never told",
        _FOLLOWING,
        "if anyio.current_time() - began > SLOW_S:",
        "if False:",
        _HTTP,
    ),
    Mutant(
        "a frontier cursor covers what came after the place that it is of",
        _SEEN,
        "last = min(head.length, after.get(log, head.length)) - 1",
        "last = head.length - 1",
        _PAGES,
    ),
    Mutant(
        "a frontier cursor of another branch covers this one",
        _SEEN,
        "return here is not None and here[:ID_BYTES] == id",
        "return here is not None",
        _PAGES,
    ),
    Mutant(
        "who comes from another node begins behind what this one got first",
        _SEEN,
        "last = min(last, (self._reader.first_arrival(log, until + 1) or 1) - 1)",
        "last = max(0, (self._reader.first_arrival(log, until + 1) or 1) - 1)",
        _PAGES,
    ),
    Mutant(
        "a run is told with the entries that its reader has",
        "node/banyan_node/api/methods/firehose_runs.py",
        "        self._until[log] = end\n",
        "        self._until[log] = -1\n",
        _PAGES,
    ),
    Mutant(
        "a run of a key without a grant is taken",
        "crdt/banyan_crdt/firehose.py",
        "if granted is None or not counts",
        "if not counts",
        ("tests/crdt/test_firehose.py",),
    ),
    Mutant(
        "a stream shows those whom its account mutes",
        _HUB,
        "if person is not None and author in person.unseen:",
        "if False:",
        _APPS,
    ),
    Mutant(
        "a stream of the home timeline has everybody",
        _HUB,
        "if s.person and author in s.person.home]",
        "if s.person]",
        _APPS,
    ),
    Mutant(
        "what happens while a stream opens is missed",
        _HUB,
        "                await self._live.wait()\n",
        "                pass\n",
        _APPS,
    ),
    Mutant(
        "a message that is too large is waited for to its end",
        _SOCKETS,
        "                    await self._fail(CloseReason.MESSAGE_TOO_BIG)\n                    return\n",
        "                    continue\n",
        _APPS,
    ),
)
