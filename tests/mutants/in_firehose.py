"""Mistakes in the firehose and the streams of apps: what is missed, told twice, or told to the wrong ones."""

from tests.mutants.mutant import Mutant

_METHOD, _EVENTS = "node/banyan_node/api/methods/firehose.py", "node/banyan_node/api/firehose.py"
_TAIL, _FOLLOWING = "web/banyan_web/firehose/tail.py", "web/banyan_web/firehose/following.py"
_HUB, _SOCKETS = "web/banyan_web/mastodon/streaming/hub.py", "node/banyan_node/server/web_sockets.py"
_PAGES, _HTTP, _APPS = (
    ("tests/node/test_firehose.py",),
    ("tests/web/test_firehose.py",),
    ("tests/web/test_streaming.py",),
)

IN_FIREHOSE = (
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
        "if number < skip or not wanted.event(event, name):",
        "if not wanted.event(event, name):",
        _PAGES,
    ),
    Mutant(
        "the firehose tells what does not count",
        _METHOD,
        "return (event.counts or self._uncounted) and",
        "return",
        _PAGES,
    ),
    Mutant(
        "a page that is full skips the event that had no room",
        _METHOD,
        "cursor_text(store, row.n - 1, number), True)",
        "cursor_text(store, row.n - 1, number + 1), True)",
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
        "if self._first is None or place < self._first:",
        "if self._first is None:",
        _HTTP,
    ),
    Mutant(
        "what is dropped from the end is taken for kept",
        _TAIL,
        "        self._first = self._places[half - 1]\n",
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
