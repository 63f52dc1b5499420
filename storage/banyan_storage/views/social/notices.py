"""What an account wants to hear of, in the order in which this store heard of it: replies, quotes, mentions, reactions,
reposts, followers.

The order is that of arrival, so nothing new is ever below what was read already, and a page stays where it was.
"""

from __future__ import annotations

from banyan_schema.notices import UNTOLD

from ...engine import Table
from ..view import Row, View

NOTICES = Table("notices", dupsort=True)
"""account 32 -> set of: place 8 | what happened 1 | number of the account that did it 4. What: see
banyan_schema.notices. account 32 | UNTOLD 1 -> set of: place 8 | that number 4, of what it is not told"""


def _row(account: bytes, what_and_whom: bytes, unique: bytes, place: bytes) -> Row:
    what, whom = what_and_whom[:1], what_and_whom[1:]
    return (NOTICES, whom + what, place + account) if what == UNTOLD else (NOTICES, whom, place + what + account)


VIEW = View("notices", 2, (NOTICES,), {"notices": _row}, {NOTICES: 32 + 9})
