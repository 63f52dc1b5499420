"""Mistakes in what a person is told and taken for: whose account is the own one, what is complete, what an id means."""

from tests.mutants.mutant import Mutant

_CLAIMS, _COMPLETE = "node/banyan_node/claims.py", "node/banyan_node/completeness.py"
_FOUND, _SAID = ("tests/node/test_claims.py",), ("tests/node/test_completeness.py",)
_IDS = ("tests/cli/test_ids.py",)

IN_PEOPLE = (
    Mutant(
        "the first account of restored keys that comes back is taken for the own one",
        _CLAIMS,
        "mine = index == hosted.OWN_INDEX and (own is None or _is_recovered(ctx, account))",
        "mine = own is None",
        _FOUND,
    ),
    Mutant(
        "no more indices are tried when some were found",
        _CLAIMS,
        "_derive(ctx, search, hosted.next_index(ctx) + AHEAD)",
        "_derive(ctx, search, AHEAD)",
        _FOUND,
    ),
    Mutant(
        "two accounts of one name are found under the same name",
        _CLAIMS,
        "unique = name if other in (None, account) else ",
        "unique = name if True else ",
        _FOUND,
    ),
    Mutant(
        "a node that nobody talks to is complete",
        _COMPLETE,
        "if not any(link.greeted for link in seen.links):",
        "if False:",
        _SAID,
    ),
    Mutant(
        "a statement that was passed on late is taken for the time now",
        "replica/banyan_replica/peers/witness.py",
        "if made_ms and abs((now_ms - came_ms) - (w.time_ms - made_ms)) <= LIVE_MS:",
        "if made_ms:",
        _SAID,
    ),
    Mutant(
        "where the control log differs, what waits for it is blamed",
        _COMPLETE,
        "if there.length > here.length and theirs.length > mine.length:",
        "if False:",
        _SAID,
    ),
    Mutant(
        "of a short form that fits two accounts the first is meant",
        "cli/banyan_cli/refs.py",
        "    if len(found) > 1:\n        raise BadInput(f\"'{text}' fits",
        "    if len(found) > 1 and not text:\n        raise BadInput(f\"'{text}' fits",
        _IDS,
    ),
)
