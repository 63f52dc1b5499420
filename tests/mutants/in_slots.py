"""Mistakes in who may hold a connection to a node."""

from tests.mutants.mutant import Mutant

_SLOTS, _PAUSES = "node/banyan_node/links/slots.py", "node/banyan_node/links/pauses.py"
_DOOR, _LINK = "node/banyan_node/edge/door.py", "node/banyan_node/edge/link.py"
_MEMBERSHIP = "replica/banyan_replica/gossip/membership.py"
_PASSIVE = "replica/banyan_replica/gossip/passive.py"
_MUXING, _ROGUE = "node/banyan_node/edge/muxing.py", ("tests/node/test_edge_rogue.py",)
_PLUMTREE = "replica/banyan_replica/gossip/plumtree.py"
_POLICY, _REAL, _SIEGE = ("tests/node/test_slots.py",), ("tests/node/test_door.py",), ("tests/sim/test_eclipse.py",)

IN_SLOTS = (
    Mutant(
        "inbound links may use the slots of dials",
        _SLOTS,
        "return max(0, self.links - self.dialled - min(self.named, self.links // 4))",
        "return max(0, self.links)",
        _POLICY,
    ),
    Mutant(
        "a net may have as many links as it likes",
        _SLOTS,
        "                if len(same) >= most:",
        "                if len(same) > most:",
        _POLICY,
    ),
    Mutant(
        "a link of use goes for a newcomer of none",
        _SLOTS,
        "        if low > mine or low is Rank.NAMED:",
        "        if low is Rank.NAMED:",
        _POLICY,
    ),
    Mutant(
        "the newest link goes, of whatever net",
        _SLOTS,
        "            return wide[held.nets.wide], near[held.nets.near], held.since, slot",
        "            return 0, 0, held.since, slot",
        _POLICY,
    ),
    Mutant(
        "whoever served lately closes the pool to newcomers",
        _SLOTS,
        "sorted(found)[:half])",
        "sorted(found))",
        _POLICY,
    ),
    Mutant(
        "an arrival goes for another one of its net before it had time",
        _SLOTS,
        "            if now - held.since >= (s.fair_s if held.far else s.silent_s)\n",
        "",
        _POLICY,
    ),
    Mutant(
        "a named peer is a stranger like any other",
        _SLOTS,
        "        pool = Pool.NAMED if held.peer in self.named else Pool.INBOUND",
        "        pool = Pool.INBOUND",
        _POLICY,
    ),
    Mutant(
        "a pause counts as time without a mistake",
        _PAUSES,
        "now - max(self._last, self.until)",
        "now - self._last",
        _POLICY,
    ),
    Mutant(
        "arrivals have no deadline",
        _DOOR,
        "        late = tuple(self.slots.late(now))",
        "        late: tuple[int, ...] = ()",
        _REAL,
    ),
    Mutant(
        "a link may say nothing for as long as it likes",
        _LINK,
        "                idle_due = min(idle_due, hello_due)",
        "                pass",
        _REAL,
    ),
    Mutant(
        "a peer that has to wait is let in",
        _DOOR,
        "        if left:\n            raise DialFailed(",
        "        if left < 0:\n            raise DialFailed(",
        _REAL,
    ),
    Mutant(
        "a peer that hangs up at once is dialled at once",
        _DOOR,
        "            raise Paused(",
        "            return\n            raise Paused(",
        _REAL,
    ),
    Mutant(
        "a connection keeps its slot when it has ended",
        _DOOR,
        "        self.slots.leaves(slot)\n\n    # -- dials",
        "\n    # -- dials",
        _REAL,
    ),
    Mutant(
        "a node that lost its contacts does not dial them",
        _MEMBERSHIP,
        "        elif self.trust_at <= now:",
        "        elif self.trust_at <= 0:",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "a peer that refused is asked again at once",
        _PASSIVE,
        "if refusal.again_at > now",
        "if False",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "a peer that refuses is asked as often for ever",
        _PASSIVE,
        "min(2 * last.wait_s, self.s.refused_max_s)",
        "self.s.refused_s",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "all that is missing is asked for at once where the tree is cut",
        _PLUMTREE,
        "if link.notes == self.s.hurry",
        "if link.notes >= self.s.hurry",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "a cut tree waits as long as a late message",
        _PLUMTREE,
        "if link.notes == self.s.hurry",
        "if False",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "a peer that let this node go is asked again at once",
        _MEMBERSHIP,
        "                    self.passive.refused(src, now)\n",
        "",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "what a neighbour announced or sent is announced to it",
        _PLUMTREE,
        "                link.ihaves.pop(mid, None)\n",
        "                pass\n",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "what a neighbour sent is announced to it",
        _PLUMTREE,
        "for mid in (*[item.mid for item in frame.items], *frame.ihaves):",
        "for mid in frame.ihaves:",
        ("tests/replica/test_gossip_node.py",),
    ),
    Mutant(
        "a message whose copy is being judged is asked for",
        _PLUMTREE,
        "if note is None or note.at != at:",
        "if note is None:",
        ("tests/replica/test_gossip_node.py",),
    ),
    # -- slow lines
    Mutant(
        "a write has no time for a slow line",
        _LINK,
        "self._config.write_deadline + MAX_WINDOW / self._config.min_rate",
        "self._config.write_deadline",
        _ROGUE,
    ),
    Mutant(
        "a writer waits for more window than it needs",
        _MUXING,
        "        if window > 0:\n",
        "        if window > GIVE_BACK:\n",
        _ROGUE,
    ),
    Mutant(
        "window is given back when half of it is used, however large it is",
        _MUXING,
        "min(self.target_recv_window // 2, GIVE_BACK)",
        "self.target_recv_window // 2",
        ("tests/node/test_edge.py",),
    ),
    Mutant(
        "window is given back every 128 KiB on a fast line",
        _MUXING,
        "now - self._gave > GIVE_BACK_S",
        "now > self._gave",
        ("tests/node/test_edge.py",),
    ),
    Mutant(
        "announcements are taken for entries, for which a commit waits",
        "replica/banyan_replica/gossip/frames.py",
        " and raw[2:3] != _NONE",
        "",
        ("tests/replica/test_gossip_frames.py",),
    ),
)
