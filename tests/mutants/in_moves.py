"""Mistakes in moves: one account alone moves another, or who is told hears too much or out of order."""

from tests.mutants.mutant import Mutant

_MOVING, _NOTICED = "storage/banyan_storage/moving.py", "storage/banyan_storage/noticed.py"
_FOLD, _APP = ("tests/storage/test_moving.py",), ("tests/node/test_moves.py",)

IN_MOVES = (
    Mutant(
        "an account moves to one that does not say so",
        _MOVING,
        "if one != account and _says(ask, one, account)",
        "if one != account",
        _FOLD,
    ),
    Mutant(
        "an account that went to two places went to one",
        _MOVING,
        "return agreed[0] if len(agreed) == 1 else None",
        "return agreed[0] if agreed else None",
        _FOLD,
    ),
    Mutant(
        "of what one tells all who follow it, only the last is heard",
        _NOTICED,
        "        if older is not None:\n",
        "        if False:\n",
        _FOLD,
    ),
    Mutant(
        "a move is told though one of the two says otherwise",
        "node/banyan_node/hosting/hearing.py",
        "        return moving.moved_to(q, one.who) is not None\n",
        "        return True\n",
        _APP,
    ),
)
