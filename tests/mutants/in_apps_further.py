"""Mistakes in push messages, in cards under links, and in what somebody wants to see and hear of."""

from tests.mutants.mutant import Mutant

_WEB = "web/banyan_web/mastodon"
_SENDING, _NEWS, _CARDS = f"{_WEB}/push/sending.py", f"{_WEB}/push/messages.py", f"{_WEB}/cards/link_cards.py"
_PUSH, _LINKS, _WISHES = (f"tests/web/test_{name}.py" for name in ("push", "cards", "wishes_app"))
_HEARING, _NOTICES = "node/banyan_node/hosting/hearing.py", "tests/web/test_notices_app.py"

IN_APPS_FURTHER = (
    Mutant("what an app was told is told again", _NEWS, 'if row["at"] > to.heard]', "]", (_PUSH,)),
    Mutant(
        "of whom one follows and who follows are mixed up",
        _NEWS,
        '"following" if policy == "followed" else "followed_by"',
        '"followed_by" if policy == "followed" else "following"',
        (_PUSH,),
    ),
    Mutant(
        "a push service that says that the app is gone is told on",
        _SENDING,
        "if 400 <= answer.status < 500 and answer.status not in GO_ON:",
        "if False:",
        (_PUSH,),
    ),
    Mutant(
        "a token that is revoked goes on being told",
        "web/banyan_web/door_store.py",
        "token text not null unique references tokens (id) on delete cascade",
        "token text not null unique",
        (_PUSH,),
    ),
    Mutant(
        "a visitor makes a node ask for pages",
        _CARDS,
        "wanted.read |= reader is not None",
        "wanted.read = True",
        (_LINKS,),
    ),
    Mutant(
        "a node asks for pages that people of others link",
        _CARDS,
        'return READ_S if self._mode == "read" and wanted.read else None',
        "return READ_S if wanted.read else None",
        (_LINKS,),
    ),
    Mutant(
        "a page may turn the direction of a text around",
        "node/banyan_node/media/page_child.py",
        'or unicodedata.category(one)[0] != "C")',
        "or True)",
        (_LINKS,),
    ),
    Mutant(
        "a muted conversation is heard of",
        _HEARING,
        " and not (one is not None and _is_quiet(q, lens, one))",
        "",
        (_WISHES,),
    ),
    Mutant("a notification that was put away comes back", _HEARING, " and place not in gone.places", "", (_NOTICES,)),
    Mutant(
        "the posts of an exclusive list are at home",
        "node/banyan_node/api/methods/feeds.py",
        "return by not in apart and lens.at_home(view)",
        "return lens.at_home(view)",
        (_WISHES,),
    ),
    Mutant(
        "a filter counts everywhere",
        "node/banyan_node/hosting/lens.py",
        "where is None or one.contexts is None or where in one.contexts.split()",
        "True",
        (_WISHES,),
    ),
)
