"""Mistakes in what a node does when strangers flood what its neighbours relay, and what they compare."""

from tests.mutants.mutant import Mutant

_INCOMING, _BACKLOG = "node/banyan_node/links/incoming.py", "replica/banyan_replica/peers/backlog.py"
_SYNC, _LATELY = "replica/banyan_replica/sync/sync.py", "replica/banyan_replica/sync/lately.py"
_FLOODS, _COMPARING = ("tests/node/test_floods.py",), ("tests/replica/test_comparing.py",)

IN_FLOODS = (
    Mutant(
        "what a peer relays fills its link",
        _INCOMING,
        "if self._backlog.floods and relays(frame)",
        "if False and relays(frame)",
        _FLOODS,
    ),
    Mutant(
        "what a peer relays is dropped though nobody here works",
        _INCOMING,
        " and self._throttle.makes_way(self._link.usage, False):",
        ":",
        _FLOODS,
    ),
    Mutant(
        "what a peer asks for is dropped with what it relays",
        _INCOMING,
        "            if rest is None:\n                return\n",
        "            return\n",
        _FLOODS,
    ),
    Mutant(
        "a peer owes what was dropped",
        _INCOMING,
        "        context.replica.gossip.lost(self._link.peer_id)\n",
        "",
        _FLOODS,
    ),
    Mutant(
        "debts stay when messages were dropped",
        "replica/banyan_replica/gossip/gossip.py",
        "link.debts.clear()",
        "pass",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "what was read still counts as a flood",
        _BACKLOG,
        "            self._relayed_took += len(frame)\n",
        "            pass\n",
        ("tests/replica/test_backlog.py",),
    ),
    Mutant(
        "own posts are a flood",
        "replica/banyan_replica/gossip/pushes.py",
        " and not opens_as_own(raw)",
        "",
        ("tests/replica/test_pushes.py",),
    ),
    Mutant(
        "without messages a peer asks for nothing",
        "replica/banyan_replica/gossip/pushes.py",
        "Pushes((), (), frame.grafts, frame.prune)",
        "Pushes((), (), (), frame.prune)",
        ("tests/replica/test_pushes.py",),
    ),
    Mutant(
        "sketches wait behind answers",
        "replica/banyan_replica/wire/table.py",
        'F("probes", exactly_or_none(PROBES)),\n        ahead=True,\n',
        'F("probes", exactly_or_none(PROBES)),\n',
        ("tests/replica/test_backlog.py",),
    ),
    Mutant(
        "who answers that too much differs tells nothing first",
        "replica/banyan_replica/sync/comparing.py",
        "        if reply.state == TOO_MANY:\n            self._sync.tell_lately(link)\n",
        "",
        _COMPARING,
    ),
    Mutant(
        "who is asked for all sums tells nothing first",
        _SYNC,
        "        if not m.prefix:\n            self.tell_lately(link)\n",
        "",
        _COMPARING,
    ),
    Mutant(
        "who asks for all sums tells nothing first",
        _SYNC,
        "        if not prefix:\n            self.tell_lately(link)\n",
        "",
        _COMPARING,
    ),
    Mutant(
        "strangers learn whom a node hosts",
        _SYNC,
        "        if not self.near(link.peer):\n            return\n",
        "",
        _COMPARING,
    ),
    Mutant(
        "sums are asked of a peer of which much waits unread",
        _SYNC,
        "None if self._behind(link) else tree.children(salt, prefix)",
        "tree.children(salt, prefix)",
        _COMPARING,
    ),
    Mutant(
        "sums are answered to a peer of which much waits unread",
        _SYNC,
        "        if self._behind(link):\n            return\n        mine",
        "        mine",
        _COMPARING,
    ),
    Mutant(
        "a question overtakes a hello behind a late frame",
        _BACKLOG,
        "        if not self._greeted:\n",
        "        if not self._took:\n",
        ("tests/replica/test_backlog.py",),
    ),
    Mutant("logs of strangers are told first", _LATELY, "if self._ours(log.account):", "if True:", _COMPARING),
    Mutant("the latest log is forgotten first", _LATELY, "popitem(last=False)", "popitem()", _COMPARING),
    Mutant("a log that moves again stays old", _LATELY, "            self._logs.move_to_end(log)\n", "", _COMPARING),
)
