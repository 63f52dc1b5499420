"""Mistakes in what apps are shown of accounts, notifications, lists and filters, and in the methods behind that."""

from tests.mutants.mutant import Mutant

_KNOWING, _PEOPLE = "node/banyan_node/api/methods/knowing.py", "node/banyan_node/api/methods/people.py"
_METHODS, _PRIVATE = ("tests/node/test_people.py",), ("tests/node/test_private.py",)
_WEB = "web/banyan_web/mastodon"
_APP, _NOTICES = (f"tests/web/test_{name}.py" for name in ("accounts", "notices_app"))

IN_PEOPLE_APP = (
    Mutant(
        "a limited account makes a trend",
        _PEOPLE,
        "ask.limit, standing.limited(at.store))",
        "ask.limit)",
        _METHODS,
    ),
    Mutant(
        "any platform that claims a domain makes a name",
        _KNOWING,
        "any(one.account in trusted for one in handle.platforms)",
        "bool(handle.platforms)",
        _METHODS,
    ),
    Mutant(
        "an account is found by the middle of a word",
        _KNOWING,
        "word.startswith(one) for word",
        "one in word for word",
        _METHODS,
    ),
    Mutant(
        "a wish to follow counts as a follow",
        _PEOPLE,
        "following=follows and not asks",
        "following=follows",
        _METHODS,
    ),
    Mutant(
        "who is blocked follows",
        "node/banyan_node/api/methods/relations.py",
        'if relates(txn, other, "block", account):',
        "if False:",
        _METHODS,
    ),
    Mutant(
        "filters that are one keep the words that were taken away",
        "node/banyan_node/api/methods/filters.py",
        "if name not in wanted]",
        "if False]",
        _PRIVATE,
    ),
    Mutant(
        "a text of a profile is HTML",
        f"{_WEB}/entities/accounts.py",
        'return "".join(out) + escape(text[at:])',
        'return "".join(out) + text[at:]',
        (_APP,),
    ),
    Mutant(
        "who blocks goes on following",
        "node/banyan_node/api/methods/relations.py",
        " + ending_follow(ctx, account, other)",
        "",
        ("tests/web/test_platform.py", _APP),
    ),
    Mutant(
        "notifications above a place are those at the top",
        f"{_WEB}/noticing.py",
        "found[-what.limit :] if what.upward",
        "found[: what.limit] if what.upward",
        (_NOTICES,),
    ),
    Mutant(
        "a favourite is about the post of who gave it",
        f"{_WEB}/noticing.py",
        'ABOUT_OWN = frozenset({"favourite", "reblog"})',
        'ABOUT_OWN = frozenset({"reblog"})',
        (_NOTICES,),
    ),
)
