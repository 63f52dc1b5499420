"""Machines that are hostile when frontiers are compared: cells that never decode or contradict each other, places
without a log, a new salt every second. None of this is malformed, so no machine may charge for it. It must not keep
honest machines from finding what differs, and must cost them only a bounded time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from banyan_replica.frontier.probes import PROBE_BYTES
from banyan_replica.frontier.sketch import CELL_BYTES, CELLS, P, add_one, pack, unpack, walk
from banyan_replica.wire import (
    HERE,
    TOO_MANY,
    Sketch,
    SketchCells,
    SketchNames,
    decode_message,
    encode_message,
    opens_as,
)
from banyan_sim.byzantine import Liar


class Sketcher(Liar):
    """Answers with invented cells, and asks without end."""

    def act(self) -> None:
        peer = self.someone()
        if peer is None:
            return
        salt = self.rng.choice((b"", self.rng.randbytes(16)))
        self.say(peer, Sketch(salt, 0, 0, 0, self.rng.randbytes(PROBE_BYTES)))
        self.say(peer, Sketch(b"", 1, CELLS - 1, 0, b""))
        self.say(peer, SketchNames(b"", self.rng.randbytes(8 * self.rng.randint(1, 50))))
        self.say(peer, SketchCells(salt, 0, HERE, 7, self._thin_air(3)))

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        if not opens_as(data, SketchCells):
            return (data,)
        m = decode_message(data)
        assert isinstance(m, SketchCells)
        if m.state != HERE:
            return (data,)
        made = self.rng.randrange(4)
        if made == 0:
            return (encode_message(m._replace(cells=self._thin_air(len(m.cells) // CELL_BYTES))),)
        if made == 1:
            return (encode_message(m._replace(cells=self._contradicting(m.cells))),)
        if made == 2:
            return (encode_message(m._replace(cells=self._with_places_of_nobody(m.cells))),)
        return (encode_message(m._replace(state=TOO_MANY, cells=b"")),)

    def _thin_air(self, cells: int) -> bytes:
        rows = [[self.rng.randrange(P) for _ in range(3)] for _ in range(cells)]
        return pack(np.array(rows, np.uint64).reshape(-1, 3))

    def _contradicting(self, raw: bytes) -> bytes:
        """Adds to each cell an invented item, whose walk visits that cell, but which is in no other cell."""
        cells = unpack(raw)
        for i in range(min(len(cells), 40)):
            h = self.rng.randrange(P)
            while i not in walk(h, i + 1):
                h = self.rng.randrange(P)
            only = np.zeros_like(cells)
            add_one(only, h, self.rng.randrange(1, P))
            cells[i] = (cells[i] + only[i]) % np.uint64(P)
        return pack(cells)

    def _with_places_of_nobody(self, raw: bytes) -> bytes:
        cells = unpack(raw)
        for _ in range(self.rng.randint(1, 5)):
            add_one(cells, self.rng.randrange(P), self.rng.randrange(1, P))
        return pack(cells)
