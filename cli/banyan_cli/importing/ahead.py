"""Puts pictures and films before they are asked for, so that several are decoded at the same time.

The order of what is asked for is known. So while the first one is waited for, those behind it are copied and put too:
at most AHEAD of them, and no further one while the copies take AHEAD_BYTES. What goes wrong with one is raised when it
is its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from banyan_cli.errors import Failed
from banyan_cli.importing.attached import Attached

if TYPE_CHECKING:
    from banyan_cli.session import CallTarget
    from banyan_node.workers.beside import Waiting

AHEAD = 4
"""Files that are put at a time: the node decodes two, and has the next two before it has ended these."""
AHEAD_BYTES = 64 << 20


class _Begun(NamedTuple):
    """answer: waits for that of `media.put`. copy: removes the copy. size: its bytes."""

    answer: Waiting
    copy: ExitStack
    size: int


class PutAhead:
    """One import. folder: for copies."""

    def __init__(self, backend: CallTarget, attached: Attached, folder: Path) -> None:
        self._backend, self._attached, self._folder = backend, attached, folder
        self._next = deque[str]()
        self._begun = dict[str, _Begun]()

    def expect(self, names: Iterable[str]) -> None:
        """These will be taken, in this order, each once."""
        self._next = deque(names)

    def take(self, name: str) -> dict[str, Any]:
        """What `media.put` answered of this file. Raises BadInput where the archive is damaged, Failed, CallError."""
        while self._next and self._has_room() and self._begin(self._next[0]):
            self._next.popleft()
        if name not in self._begun:  # nobody said that it would be taken
            self._begin(name, now=True)
        begun = self._begun.pop(name)
        try:
            answer: dict[str, Any] = begun.answer()
            return answer
        finally:
            begun.copy.close()

    def _has_room(self) -> bool:
        copied = sum(begun.size for begun in self._begun.values())
        return not self._begun or (len(self._begun) < AHEAD and copied < AHEAD_BYTES)

    def _begin(self, name: str, now: bool = False) -> bool:
        """Copies a file and begins to put it. Returns False if it must wait for the room that others take. now: it does
        not wait."""
        with ExitStack() as stack:
            try:
                copy = stack.enter_context(self._attached.copied(name, self._folder))
                size = copy.stat().st_size
                answer = self._backend.begin("media.put", path=str(copy))
            except Exception as error:
                if isinstance(error, Failed) and self._begun and not now:
                    return False
                size, answer = 0, _raising(error)
            self._begun[name] = _Begun(answer, stack.pop_all(), size)
        return True


def _raising(error: Exception) -> Waiting:
    def answer() -> Any:
        raise error

    return answer
