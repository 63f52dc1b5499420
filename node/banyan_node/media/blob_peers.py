"""What fetching and serving need of the network: questions to peers, and the answers to theirs."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

BlobAnswers: TypeAlias = Callable[[str, bytes], Awaitable[bytes]]
"""(peer, question) -> answer. May wait: the peer asks its next question after the answer, or lets it wait. Raises
Malformed for what is no question."""


class NoPeerAnswer(Exception):
    """The peer did not answer: it is gone, or too slow. A sentence without a full stop."""


class BlobPeers(Protocol):
    """The peers that can be asked."""

    def linked(self) -> Sequence[str]:
        """Their ids, now."""

    async def ask(self, peer: str, question: bytes, most: int) -> bytes:
        """The answer, of at most so many bytes. Raises NoPeerAnswer, and Malformed if the peer announces a longer one.
        Whoever no longer waits for it may be cancelled: the peer is not told, and its next answers come behind it."""
