"""Mistakes in answers to people: which account is the own one, what is complete, what an id means."""

from tests.mutants.mutant import Mutant

_CLAIMS, _COMPLETE = "node/banyan_node/hosting/claims.py", "node/banyan_node/links/completeness.py"
_FOUND, _SAID = ("tests/node/test_claims.py",), ("tests/node/test_completeness.py",)
_IDS = ("tests/cli/test_ids.py",)
_SOUND, _ROTTEN = "replica/banyan_replica/sync/sound.py", ("tests/replica/test_sound.py",)
_KEYS = "node/banyan_node/api/methods/keys.py"
_THEFT = ("tests/cli/test_theft.py",)
_ITEMS, _ITEM_METHODS = ("tests/node/test_items.py",), "node/banyan_node/api/methods/items.py"

IN_PEOPLE = (
    Mutant(
        "the first account of restored keys that comes back is taken for the own one",
        _CLAIMS,
        "mine = index == hosted.OWN_INDEX and (own is None or _since(ctx, account) > _since(ctx, own))",
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
        "    if not _linked(seen):\n",
        "    if False:\n",
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
        "a page of items begins with the last one of the page before",
        "storage/banyan_storage/items.py",
        "start = max(start, after_prefix(opens + after) or start)",
        "start = max(start, opens + after)",
        _ITEMS,
    ),
    Mutant(
        "an element of a set is written beside the one that it replaces",
        _ITEM_METHODS,
        "drafts = [undo(of.id, live)] if live else []\n    return",
        "drafts = list[Draft]()\n    return",
        _ITEMS,
    ),
    Mutant(
        "an item is written over nothing, though its key shows something",
        _ITEM_METHODS,
        "[Draft(Put(of.id, key, live, None), content)]",
        "[Draft(Put(of.id, key, (), None), content)]",
        _ITEMS,
    ),
    Mutant(
        "what was deleted for good can be put again and is not shown",
        _ITEM_METHODS,
        "if not fresh and q.is_dead(account, of.id, key):",
        "if False:",
        _ITEMS,
    ),
    Mutant(
        "a collection with methods of its own is written as any other",
        _ITEM_METHODS,
        "    if methods is not None:\n",
        "    if False:\n",
        _ITEMS,
    ),
    Mutant(
        "of a short form that fits two accounts the first is meant",
        "cli/banyan_cli/refs.py",
        "    if len(found) > 1:\n        raise BadInput(f\"'{text}' fits",
        "    if len(found) > 1 and not text:\n        raise BadInput(f\"'{text}' fits",
        _IDS,
    ),
    Mutant(
        "whoever doubts what it is given is given the same again",
        _SOUND,
        "        if peer not in self._doubted:\n            return item\n",
        "        return item\n",
        _ROTTEN,
    ),
    Mutant(
        "a peer that asks for the same again is not doubted",
        _SOUND,
        "        self._asked[key] = places",
        "",
        _ROTTEN,
    ),
    Mutant(
        "a log that cannot be read takes back what is pending for all",
        _SOUND,
        "            self._note(log, str(why) or type(why).__name__)",
        "            raise",
        _ROTTEN,
    ),
    Mutant(
        "recovery words are taken for a master",
        "node/banyan_node/home/words.py",
        "    if plain is not None:\n        return plain",
        "    if (plain or marked) is not None:\n        return plain or marked or b''",
        _THEFT,
    ),
    Mutant(
        "numbers beside words do not order them",
        "node/banyan_node/home/words.py",
        "sorted(zip(numbers, words, strict=True))",
        "zip(numbers, words, strict=True)",
        _THEFT,
    ),
    Mutant(
        "a copied home speaks to the node of the original",
        "node/banyan_node/server/running.py",
        "    _refuse_a_copy(home, running)\n",
        "",
        ("tests/cli/test_node.py",),
    ),
    Mutant(
        "a checkpoint counts as a log of its writer, and a cut keeps none",
        _KEYS,
        "for log in ctx.store.heads(account) if log.log]",
        "for log in ctx.store.heads(account)]",
        ("tests/node/test_recovery.py",),
    ),
    Mutant(
        "a home that never held the account cuts whoever it has nothing of",
        _KEYS,
        "set(others if at_home else ())",
        "set(others)",
        ("tests/node/test_recovery.py",),
    ),
    Mutant(
        "of a closed account a part of a log is taken for the whole",
        _KEYS,
        "for log in logs if own_tips(ctx.store, log)}",
        "for log in logs}",
        ("tests/node/test_recovery.py",),
    ),
    Mutant(
        "a cut does not wait for what a peer holds more",
        _KEYS,
        "    if missing := sum(more.values()):",
        "    if missing := 0:",
        ("tests/node/test_recovery.py",),
    ),
    Mutant(
        "a log that somebody else wrote with this node's key is no theft",
        "node/banyan_node/hosting/own_account.py",
        "    for log, head in foreign:",
        "    for log, head in ():",
        _THEFT,
    ),
    Mutant(
        "what a restored home wrote before is a theft",
        "node/banyan_node/hosting/own_account.py",
        "last.header.time > min(since)",
        "last.header.time",
        _THEFT,
    ),
    Mutant(
        "a forked log is no theft",
        "node/banyan_node/hosting/own_account.py",
        "        if head.flag:\n            what",
        "        if False:\n            what",
        _THEFT,
    ),
)
