"""The states of a session with one peer, and every step between them.

Rule 1: the tables here, and nothing else, decide which state follows another. A module names the event; it does not
decide what the event does to the state.

Rule 2: a step that a table does not have is a bug of this node, and raises `IllegalStep`. A peer cannot cause one:
a message that it may not send in a state is ignored and costs nothing (message_dispatch.py asks the message table and
the session).

Four things go on between two nodes independently of each other, so there are four machines:

1. Life: of the link. Before the peer's hello, only hello and bye are read. The link closes when either side says bye or
   hangs up. Until the connection is down, the peer's messages are ignored.

2. Course: how we reach the peer's frontier, in one way at a time. The roots are the same (LIVE) or not (APART). If they
   are not, a comparison is under way (COMPARING), or the peer sends what it accepted since we last agreed (REPLAYING).
   A replay is asked for once. Differences that remain are found by comparing, so REPLAYED ends with a comparison or
   with equal roots. Equal roots do not end a replay: what is still under way was asked for, and must not count as
   unasked.

3. Reader: whether the peer reads a range of accounts to us (sync/catchup.py). It is independent of the course, because
   it is decided over all peers together. A reader that failed rests before it is asked again.

4. Turn: what we read to the peer, after the logs that it asked for by name. It may ask for a replay and for a range at
   the same time; then the replay comes first.

COMPARING and RESTING end by time, which is an event like all others (LAPSED, RESTED): the code that reads such a state
knows the time and fires it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias, TypeVar


class IllegalStep(RuntimeError):
    """A bug of this node: an event in a state that has no step for it."""


class LifeState(Enum):
    GREETING = "the peer's hello has not come"
    OPEN = "both hellos were said"
    CLOSING = "one side said bye, or hangs up"


class LifeEvent(Enum):
    HELLO = "a hello of our version and realm came"
    BYE = "either side ends the link"


class CourseState(Enum):
    APART = "roots differ or are not known"
    COMPARING = "a comparison is under way"
    REPLAYING = "the peer sends what it accepted since we last agreed"
    REPLAYED = "the replay has ended; no comparison since"
    LIVE = "the roots are the same"


class CourseEvent(Enum):
    EQUAL = "the peer told the root that we have"
    MOVED = "a head moved, here or there"
    COMPARE = "we ask for a comparison"
    LAPSED = "its time is over"
    REPLAY = "we ask for a replay"
    REPLAYED = "the peer says that it sent all"
    FAILED = "the peer stalls or lies"


class ReaderState(Enum):
    IDLE = "nothing is read to us"
    READING = "a range is read to us"
    RESTING = "it failed, and is not asked for a while"


class ReaderEvent(Enum):
    ASKED = "we ask for a range, or for less of it"
    READ = "all of the range was read"
    FAILED = "the peer cannot, stalls, or says something impossible"
    RESTED = "the time to rest is over"
    WENT_ON = "what we took for a stall was a pause, and nobody else reads the range"


class TurnState(Enum):
    IDLE = "we send nothing, or logs by name"
    RETELLING = "we send a replay"
    READING = "we read a range"
    BOTH = "we send a replay, then read a range"


class TurnEvent(Enum):
    REPLAY = "the peer asks for a replay"
    SCAN = "the peer asks for a range"
    RETOLD = "the replay is at its end"
    READ = "the range is at its end"
    DROPPED = "the store took back what was read"


State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)
Table: TypeAlias = Mapping[State, Mapping[Event, State]]

LIFE: Table[LifeState, LifeEvent] = {
    LifeState.GREETING: {LifeEvent.HELLO: LifeState.OPEN, LifeEvent.BYE: LifeState.CLOSING},
    LifeState.OPEN: {LifeEvent.BYE: LifeState.CLOSING},
    LifeState.CLOSING: {LifeEvent.BYE: LifeState.CLOSING},
}
COURSE: Table[CourseState, CourseEvent] = {
    CourseState.APART: {
        CourseEvent.EQUAL: CourseState.LIVE,
        CourseEvent.MOVED: CourseState.APART,
        CourseEvent.COMPARE: CourseState.COMPARING,
        CourseEvent.REPLAY: CourseState.REPLAYING,
        CourseEvent.FAILED: CourseState.APART,
    },
    CourseState.COMPARING: {
        CourseEvent.EQUAL: CourseState.LIVE,
        CourseEvent.MOVED: CourseState.COMPARING,
        CourseEvent.COMPARE: CourseState.COMPARING,
        CourseEvent.LAPSED: CourseState.APART,
        CourseEvent.FAILED: CourseState.COMPARING,
    },
    CourseState.REPLAYING: {
        CourseEvent.EQUAL: CourseState.REPLAYING,
        CourseEvent.MOVED: CourseState.REPLAYING,
        CourseEvent.COMPARE: CourseState.REPLAYING,  # a person asks for it (`Replica.compare`)
        CourseEvent.REPLAYED: CourseState.REPLAYED,
        CourseEvent.FAILED: CourseState.APART,
    },
    CourseState.REPLAYED: {
        CourseEvent.EQUAL: CourseState.LIVE,
        CourseEvent.MOVED: CourseState.REPLAYED,
        CourseEvent.COMPARE: CourseState.COMPARING,
        CourseEvent.FAILED: CourseState.REPLAYED,
    },
    CourseState.LIVE: {
        CourseEvent.EQUAL: CourseState.LIVE,
        CourseEvent.MOVED: CourseState.APART,
        CourseEvent.COMPARE: CourseState.COMPARING,
        CourseEvent.FAILED: CourseState.LIVE,
    },
}
READER: Table[ReaderState, ReaderEvent] = {
    ReaderState.IDLE: {
        ReaderEvent.ASKED: ReaderState.READING,
        ReaderEvent.FAILED: ReaderState.RESTING,
        ReaderEvent.WENT_ON: ReaderState.READING,
    },
    ReaderState.READING: {
        ReaderEvent.ASKED: ReaderState.READING,
        ReaderEvent.READ: ReaderState.IDLE,
        ReaderEvent.FAILED: ReaderState.RESTING,
    },
    ReaderState.RESTING: {
        ReaderEvent.FAILED: ReaderState.RESTING,
        ReaderEvent.RESTED: ReaderState.IDLE,
        ReaderEvent.WENT_ON: ReaderState.READING,
    },
}
TURN: Table[TurnState, TurnEvent] = {
    TurnState.IDLE: {
        TurnEvent.REPLAY: TurnState.RETELLING,
        TurnEvent.SCAN: TurnState.READING,
        TurnEvent.DROPPED: TurnState.IDLE,
    },
    TurnState.RETELLING: {
        TurnEvent.REPLAY: TurnState.RETELLING,
        TurnEvent.SCAN: TurnState.BOTH,
        TurnEvent.RETOLD: TurnState.IDLE,
        TurnEvent.DROPPED: TurnState.IDLE,
    },
    TurnState.READING: {
        TurnEvent.REPLAY: TurnState.BOTH,
        TurnEvent.SCAN: TurnState.READING,
        TurnEvent.READ: TurnState.IDLE,
        TurnEvent.DROPPED: TurnState.IDLE,
    },
    TurnState.BOTH: {
        TurnEvent.REPLAY: TurnState.BOTH,
        TurnEvent.SCAN: TurnState.BOTH,
        TurnEvent.RETOLD: TurnState.READING,
        TurnEvent.DROPPED: TurnState.IDLE,
    },
}


def step(table: Table[State, Event], state: State, event: Event) -> State:
    """The state that follows. Raises IllegalStep."""
    after = table[state].get(event)
    if after is None:
        raise IllegalStep(f"{type(state).__name__} {state.name} has no step for {event.name} ({event.value})")
    return after
