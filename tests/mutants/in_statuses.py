"""Mistakes of the door: what is published, skipped, or given to whom it is not meant for."""

from tests.mutants.mutant import Mutant

_STATUSES = ("tests/web/test_statuses.py",)
_TIMELINES = ("tests/web/test_paging.py",)
_IDS = ("tests/web/test_ids.py",)
_HTML = ("tests/web/test_html.py",)
_WEB = "web/banyan_web/mastodon"

IN_STATUSES = (
    Mutant(
        "a page begins at a millisecond and skips the rest of it",
        f"{_WEB}/paging.py",
        '_END = "f" * 100\n',
        '_END = "0" * 100\n',
        _TIMELINES,
    ),
    Mutant(
        "a page ends within a millisecond of which the node has not told all",
        f"{_WEB}/paging.py",
        "id_[:TIME_DIGITS] < end if rising else id_[:TIME_DIGITS] > end",
        "id_[:TIME_DIGITS] <= end if rising else id_[:TIME_DIGITS] >= end",
        _TIMELINES,
    ),
    Mutant(
        "a private post is published for all to read",
        f"{_WEB}/composing.py",
        "    if visibility not in _VISIBLE:\n",
        "    if False:\n",
        _STATUSES,
    ),
    Mutant(
        "the files of drafts are given to anybody",
        "node/banyan_node/api/methods/pages.py",
        "    if item is None:\n",
        "    if item is None and at.blobs.find(root) is None:\n",
        _STATUSES,
    ),
    Mutant(
        "text of strangers is not escaped",
        f"{_WEB}/html.py",
        "    return escape(text).replace(",
        "    return text.replace(",
        _HTML,
    ),
    Mutant(
        "a writing that is repeated is published again",
        "node/banyan_node/api/methods/social.py",
        "        if there:\n            return Posted(",
        "        if False:\n            return Posted(",
        ("tests/node/test_pages.py",),
    ),
    Mutant(
        "a repost has the id that a post would have",
        f"{_WEB}/ids.py",
        '_REPOST | int.from_bytes(raw, "big")',
        'int.from_bytes(raw, "big")',
        _IDS,
    ),
    Mutant(
        "ids of reposts are longer, and on top of all",
        f"{_WEB}/ids.py",
        "{number:0{REST_DIGITS}d}",
        "{number:0{REST_DIGITS + 9 * (number >= _REPOST)}d}",
        _IDS,
    ),
    Mutant(
        "any repost of that moment is the one that is meant",
        "node/banyan_node/api/methods/responses.py",
        "if short(target) == wanted), None",
        "), None",
        _IDS,
    ),
    Mutant(
        "a post of a followed tag is at home though its author is muted",
        "node/banyan_node/api/methods/pages.py",
        "(not ask.seen or lens.shows(view.target.account, view.post))",
        "True",
        ("tests/web/test_wishes_app.py",),
    ),
)
