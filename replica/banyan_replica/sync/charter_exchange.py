"""How peers exchange the acts of the charter that they follow (followed_charter.py).

Peers tell each other charter and digest. Of one that stands elsewhere a node asks the digests of all numbers, then the
names of the first number that differs, then the acts that it lacks, and so on up to the number that is open. It asks
one peer at a time, one question at a time, for a bounded time; so a peer that is slow, or has nothing of use, costs the
others only their turn. What is refused for now is asked for again after ever longer pauses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from banyan_charter.acts import Act, name_of
from banyan_charter.ledger import ActLedger
from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.realm import Realm
from banyan_replica.host import ReplicaHost
from banyan_replica.peers.ledger import Breach, Leak, Offence
from banyan_replica.sync.followed_charter import FollowedCharter
from banyan_replica.wire.messages import (
    ACT_NAMES,
    DIGESTS,
    ActNames,
    CharterActs,
    CharterState,
    Digests,
    JoinAlliance,
    Joined,
    WantActs,
    WantDigests,
    WantNames,
)
from banyan_storage import charter_acts
from banyan_storage.store import Store

if TYPE_CHECKING:
    from banyan_replica.outbox import Outbox

Question: TypeAlias = WantDigests | WantNames | WantActs
ANSWER_S, TURN_S, EMPTY_S = 10.0, 30.0, 5.0
"""How long a peer may take for an answer, for its turn, and for a turn of one that is not named, while nothing that it
sent was taken, seconds."""
EMPTY_REST = 32
"""A peer rests after such a turn for twice as long as it took, after the next for 4 times, up to so many."""
REST_S, LONG_REST_S = 60.0, 600.0
"""How long a peer is not asked that did not answer, and one that sent much that is of no use."""
AGAIN_S = 120.0
"""How soon two nodes compare again that did, if neither took anything since."""
RETRY_S, RETRY_MOST_S = 60.0, 3_600.0
"""When an act that was refused is asked for again; each time twice as late."""
REFUSED = 16_384
"""Refused acts that are remembered; the oldest are forgotten first."""
VAIN, VAIN_A_S = 4_096, 4.0
"""Refused acts that one peer may send, and more of them a second."""
WANTED, ASKED = 65_536, 1_024
"""Acts of a number that one peer is asked for in its turn, and in a question."""
ANSWER_BYTES = 256 << 10
"""The most bytes of acts in an answer, unless it is one act."""
ROW_BYTES = 256
"""So many bytes of acts cost a peer as much as a row."""
JOINS, JOINS_OF_ALL = 16, 256
"""Answers to invitations in a minute: more of one peer are a lie, and more of all are dropped."""


@dataclass(slots=True)
class _Peer:
    """stands: what it said last. last_told: what it was told. compared: its digest, ours, and when these were
    compared. turn: when it was asked last. empty: its turns, one after
    the other, in which nothing of it was taken. invited: an answer to an invitation was sent to it."""

    stands: CharterState | None = None
    last_told: CharterState | None = None
    compared: tuple[bytes, bytes, float] = (b"", b"", 0.0)
    asked_not_before: float = 0.0
    empty: int = 0
    turn: float = 0.0
    joins: Leak = field(default_factory=Leak)
    invited: bool = False


@dataclass(slots=True)
class _Turn:
    """A peer is asked. at_number: which is compared. start, digests: what it said of the numbers from `start` on.
    wanted: names of acts of the number. after: the last name that it said. took: an act of it was taken."""

    peer: str
    began: float
    theirs: bytes
    question: Question
    answer_by: float
    at_number: int = 0
    start: int = 0
    digests: bytes = b""
    after: bytes = b""
    took: bool = False
    wanted: dict[bytes, None] = field(default_factory=dict)


class CharterExchange:
    """out: takes messages, behind the commit. named: peers of the operator and of members, which strangers do not keep
    waiting."""

    def __init__(
        self, store: Store, realm: Realm, out: Outbox, around: ReplicaHost, named: Container[str] = ()
    ) -> None:
        self._store, self._out, self._around, self._named = store, out, around, named
        self._peers: dict[str, _Peer] = {}
        self._turn: _Turn | None = None
        self._refused: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        """When it may be asked for again, and the pause before that."""
        self._vain: dict[str, Leak] = {}
        self._joins = Leak()
        self.followed = FollowedCharter(store, realm, out.tell, self._begin_anew)

    def _begin_anew(self) -> None:
        self._turn = None
        self._refused.clear()
        for peer in self._peers.values():
            peer.last_told = None

    # -- what the node asks

    def join(self, peer: str, invitation: bytes, card: bytes, sig: bytes) -> bool:
        """Answers an invitation at a linked peer, whose word comes to `ReplicaHost.joined`. False: it knows nothing of
        charters, or is not linked."""
        if peer not in self._peers:
            return False
        self._peers[peer].invited = True
        self._out.send(peer, JoinAlliance(invitation, card, sig))
        return True

    # -- what peers say and ask

    def met(self, peer: str) -> None:
        """A linked peer reads messages about charters."""
        self._peers.setdefault(peer, _Peer())
        self._tell_peers()

    def gone(self, peer: str) -> None:
        self._peers.pop(peer, None)
        if self._turn is not None and self._turn.peer == peer:
            self._turn = None

    def stands(self, peer: str, m: CharterState, now: float) -> None:
        """A peer says what it follows, and where it stands."""
        self._peers.setdefault(peer, _Peer()).stands = m
        self._begin(now)

    def wanted(self, peer: str, m: Question) -> int:
        """Answers a question. Returns what that cost, in rows."""
        held, txn = self.followed.ledger, self._store.txn
        if held is None or m.charter != held.charter:
            self._out.send(peer, self._state())
            return 1
        match m:
            case WantDigests(_, start):
                numbers = range(start, min(len(held.epochs) + 1, start + DIGESTS))
                self._out.send(peer, Digests(m.charter, start, b"".join(map(held.digest_of, numbers))))
                return len(numbers)
            case WantNames(_, number, after):
                found = charter_acts.names(txn, held.charter, number, after, ACT_NAMES)
                self._out.send(peer, ActNames(m.charter, number, b"".join(found)))
                return len(found)
            case WantActs(_, number, names):
                acts = charter_acts.some(txn, held.charter, number, _cut(names)[:ASKED], ANSWER_BYTES)
                self._out.send(peer, CharterActs(m.charter, number, acts))
                return ASKED + sum(map(len, acts)) // ROW_BYTES

    def asked(self, peer: str, m: Digests | ActNames | CharterActs | Joined) -> bool:
        """Whether it answers an open question."""
        if isinstance(m, Joined):
            return peer in self._peers and self._peers[peer].invited
        turn, kind = self._turn, {Digests: WantDigests, ActNames: WantNames, CharterActs: WantActs}[type(m)]
        return (
            turn is not None and turn.peer == peer and type(turn.question) is kind and turn.question[:2] == tuple(m[:2])
        )

    def answered(self, m: Digests | ActNames, now: float) -> None:
        """The answer to the open question came. Raises Malformed."""
        turn, held = self._turn, self.followed.ledger
        assert turn is not None
        assert held is not None
        if isinstance(m, Digests):
            if len(m.digests) > 32 * DIGESTS:
                raise Malformed(f"more than {DIGESTS} digests of a charter in an answer")
            turn.start, turn.digests = m.start, m.digests
            self._next(turn, held, now)
            return
        names = _cut(m.names)
        if len(names) > ACT_NAMES or any(a >= b for a, b in pairwise([turn.after, *names])):
            raise Malformed(f"names of acts are at most {ACT_NAMES}, ascending, and behind what was asked")
        known = {*map(name_of, held.acts(m.number)), *self.followed.waiting}
        for name in names:
            if name not in known and self._refused.get(name, (0.0, 0.0))[0] <= now and len(turn.wanted) < WANTED:
                turn.wanted[name] = None
        if len(names) == ACT_NAMES and len(turn.wanted) < WANTED:
            turn.after = names[-1]
            self._ask(turn, WantNames(m.charter, m.number, turn.after), now)
        else:
            self._fetch(turn, held, now)

    def came(self, acts: Sequence[Act | Reject], now: float) -> None:
        """The acts that were asked for, each with its signature checked. Raises Reject."""
        turn, held = self._turn, self.followed.ledger
        assert turn is not None
        assert held is not None
        assert isinstance(turn.question, WantActs)
        asked, good = {*_cut(turn.question.names)}, list[Act]()
        wrong: Reject | None = None
        for act in acts:
            if isinstance(act, Reject):
                wrong = act
                break
            if (name := name_of(act)) not in asked or name not in turn.wanted:
                wrong = Breach(Offence.UNASKED, "sent an act of a charter that was not asked for")
                break
            del turn.wanted[name]
            good.append(act)
        if not acts:
            turn.wanted = {name: None for name in turn.wanted if name not in asked}
        before = len(held.epochs)
        self.followed.judge(good)
        vain = [act for act in good if not held.holds(act)]
        turn.took |= len(vain) < len(good)
        for act in vain:
            _, pause = self._refused.pop(name_of(act), (0.0, RETRY_S / 2))
            pause = min(2 * pause, RETRY_MOST_S)
            self._refused[name_of(act)] = now + pause, pause
        if len(held.epochs) != before:
            self._refused.clear()
        while len(self._refused) > REFUSED:
            self._refused.popitem(last=False)
        if wrong is not None:
            self._end(now, REST_S)
            raise wrong
        if self._is_vain(turn.peer, len(vain), now):
            self._end(now, LONG_REST_S)
        else:
            self._fetch(turn, held, now)

    def asks_to_join(self, peer: str, m: JoinAlliance, now: float) -> None:
        """Raises Breach if the peer does that all the time."""
        mine = self._peers.setdefault(peer, _Peer()).joins
        mine.sink(JOINS / 60, now)
        mine.rise(1)
        if mine.level > JOINS:
            raise Breach(Offence.TOO_OFTEN, f"answers invitations more than {JOINS} times a minute")
        if self._joins.sink(JOINS_OF_ALL / 60, now) < JOINS_OF_ALL:
            self._joins.rise(1)
            if (said := self._around.join(peer, *m)) is not None:
                self._out.send(peer, Joined(*said))

    def joined(self, peer: str, m: Joined) -> None:
        self._peers[peer].invited = False
        self._around.joined(peer, *m)

    def tick(self, now: float) -> None:
        """Each second."""
        turn = self._turn
        if turn is not None and now >= turn.answer_by:
            self._end(now, REST_S)
        self._tell_peers()
        self._begin(now)

    # -- asking

    def _begin(self, now: float) -> None:
        """Asks the peer that was not asked for longest, of those that stand elsewhere; named ones first."""
        if self._turn is not None or self.followed.ledger is None:
            return
        charter, ours = self.followed.ledger.charter, self.followed.ledger.digest
        found: tuple[bool, float, str, bytes] | None = None
        for name, peer in self._peers.items():
            at = peer.stands
            if at is None or at.charter != charter or at.digest == ours or now < peer.asked_not_before:
                continue
            theirs, mine, when = peer.compared
            if (theirs, mine) != (at.digest, ours) or now >= when + AGAIN_S:
                rank = name not in self._named, peer.turn, name, at.digest
                found = min(found or rank, rank)
        if found is not None:
            _, _, name, theirs = found
            self._peers[name].turn = now
            question = WantDigests(charter, 0)
            self._turn = _Turn(name, now, theirs, question, now)
            self._ask(self._turn, question, now)

    def _ask(self, turn: _Turn, question: Question, now: float) -> None:
        if now >= turn.began + (TURN_S if turn.took or turn.peer in self._named else EMPTY_S):
            self._end(now, 0.0)
            return
        is_known = turn.took or turn.peer in self._named or isinstance(question, WantActs)
        turn.question, turn.answer_by = question, now + (ANSWER_S if is_known else EMPTY_S)
        self._out.send(turn.peer, question)

    def _next(self, turn: _Turn, held: ActLedger, now: float) -> None:
        """Asks for the names of the first number from `turn.at_number` on that differs."""
        while turn.at_number <= len(held.epochs):
            at = turn.at_number - turn.start
            theirs = turn.digests[32 * at :][:32]
            if not theirs:
                if len(turn.digests) == 32 * DIGESTS:
                    self._ask(turn, WantDigests(held.charter, turn.at_number), now)
                    return
                break
            if theirs != held.digest_of(turn.at_number):
                turn.after, turn.wanted = b"", {}
                self._ask(turn, WantNames(held.charter, turn.at_number, b""), now)
                return
            turn.at_number += 1
        self._peers[turn.peer].compared = turn.theirs, held.digest, now
        self._end(now, 0.0)

    def _fetch(self, turn: _Turn, held: ActLedger, now: float) -> None:
        """Asks for the acts that are wanted of the number; if none are, goes on to the next one."""
        if turn.wanted:
            names = b"".join(list(turn.wanted)[:ASKED])
            self._ask(turn, WantActs(held.charter, turn.at_number, names), now)
        else:
            turn.at_number += 1
            self._next(turn, held, now)

    def _end(self, now: float, rest_s: float) -> None:
        """Ends the turn. rest_s: for so long the peer gets none."""
        turn, self._turn = self._turn, None
        if turn is not None and (peer := self._peers.get(turn.peer)) is not None:
            peer.empty = 0 if turn.took else peer.empty + 1
            rest_s += min(2**peer.empty - 1, EMPTY_REST) * (now - turn.began)
            peer.asked_not_before = now + rest_s
        self._tell_peers()

    def _is_vain(self, peer: str, more: int, now: float) -> bool:
        """Whether too much of what the peer sent was refused. It is remembered beyond a connection."""
        if more:
            self._vain = {name: leak for name, leak in self._vain.items() if leak.sink(VAIN_A_S, now) > 0}
            self._vain.setdefault(peer, Leak()).rise(more)
        return peer in self._vain and self._vain[peer].sink(VAIN_A_S, now) > VAIN

    def _state(self) -> CharterState:
        held = self.followed.ledger
        return CharterState(b"", 0, bytes(32)) if held is None else CharterState(held.charter, len(held), held.digest)

    def _tell_peers(self) -> None:
        """Tells peers where this node stands, if they do not know; but not while it learns from one."""
        if self._turn is None and self._peers:
            state = self._state()
            for name, peer in self._peers.items():
                if peer.last_told != state:
                    peer.last_told = state
                    self._out.send(name, state)


def _cut(names: bytes) -> list[bytes]:
    return [names[at : at + 32] for at in range(0, len(names), 32)]
