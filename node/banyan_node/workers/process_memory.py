"""How the process of a node uses memory: when garbage is collected, and when freed memory goes back to the system."""

import ctypes
import gc

import trio

GC_OBJECTS = 50_000
"""New objects between two runs of the cyclic garbage collector. A frame makes about as many, nearly all of them tuples
that end with it. With Python's default of 700 the collector took a seventh of the time."""
GC_BUSY = 10
"""Multiplier for GC_OBJECTS while busy: scanning live objects is wasted work."""
GC_ENDED = 1_024
"""Connections that ended between two runs over all objects. What is left of one is a circle of some 15 kB, and old by
then, so that the rare runs over young objects do not find it: strangers who came and went took 0.4 MB a second."""
LARGE_BYTES = 512 << 10
"""A block of so many bytes is mapped on its own, so that it goes back when it is freed. By itself glibc raises this to
the size of the largest frame that it ever freed. Frames then lie between small blocks, and their room stays taken."""
KEPT_BYTES = 8 << 20
"""Free memory at the end of the heap that is kept."""
ARENAS = 2
"""Heaps of glibc. Of its own it makes one for every thread, and what one frees no other can use."""
LOOK_S = 60.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


class ConnectionGarbage:
    """Counts connections that ended, and collects what is left of them."""

    def __init__(self) -> None:
        self._count = 0

    def one_more(self) -> None:
        self._count += 1
        if self._count == GC_ENDED:
            self._count = 0
            gc.collect()


def prepare() -> None:
    """Called before a replica's work begins. Imported objects stay for ever, so the collector need not scan them, and
    it runs rarely while there is work. Where the C library is not glibc, its allocator stays as it is."""
    gc.freeze()
    gc.set_threshold(GC_BUSY * GC_OBJECTS, 20, 100)
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)


async def give_back(every_s: float = LOOK_S) -> None:
    """Gives back to the system what was freed between blocks that stay; by itself glibc gives back only the heap's end.
    It takes some milliseconds, and what a busy hour left is 10 MB."""
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        while True:
            await trio.sleep(every_s)
            await trio.to_thread.run_sync(malloc_trim, 0)
