"""Mistakes in locked accounts: who is let, who is told, and who stays."""

from tests.mutants.mutant import Mutant

_LOCKING = "storage/banyan_storage/locking.py"
_FOLLOWERS, _HEARING = "node/banyan_node/api/methods/followers.py", "node/banyan_node/hosting/hearing.py"
_FOLD, _APP = ("tests/storage/test_locking.py",), ("tests/node/test_followers.py",)

IN_LOCKED = (
    Mutant(
        "a locked account's followers are all who say so",
        _LOCKING,
        'return (one for one in found if not locked or answered(ask, account, "accept", one))',
        "return found",
        _FOLD,
    ),
    Mutant(
        "an account that says it is locked no more stays locked",
        _LOCKING,
        "    return any((f.field, f.value) == (FIELD, LOCKED_VALUE) for f in ask.profile(account).fields)\n",
        "    return True\n",
        _FOLD,
    ),
    Mutant(
        "who was accepted and follows no more is counted",
        _LOCKING,
        "found = sum(follows(ask, one, account) for one in islice(accepted, COUNTED))",
        "found = sum(1 for one in islice(accepted, COUNTED))",
        _FOLD,
    ),
    Mutant("present followers fall out when an account is locked", _FOLLOWERS, "[*chunks, [field]]", "[[field]]", _APP),
    Mutant(
        "an acceptance that nobody asked for is told",
        _HEARING,
        "return locking.is_locked(q, one.who) and locking.follows(q, account, one.who)",
        "return True",
        _APP,
    ),
)
