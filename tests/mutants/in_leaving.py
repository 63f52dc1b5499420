"""Mistakes in what gets an account out of a node: handing over, taking, exporting, restoring."""

from tests.mutants.mutant import Mutant

_LEAVING, _MOVED = "node/banyan_node/api/methods/leaving.py", ("tests/node/test_leaving.py",)
_SINKS, _SITE, _HTML, _STREAMS = (
    f"node/banyan_node/exporting/{name}.py" for name in ("sinks", "site", "html", "streams")
)
_OUT = ("tests/node/test_exporting.py",)

IN_LEAVING = (
    Mutant(
        "a handover only announces the user's root key",
        _LEAVING,
        "    return [(holder, first), (new, second)]\n",
        "    return [(holder, first)]\n",
        _MOVED,
    ),
    Mutant(
        "a handover leaves the recovery key where it was",
        _LEAVING,
        "steps += _moves(RECOVERY_SLOT, held, seeds[1], ask.recovery_following)",
        "pass",
        _MOVED,
    ),
    Mutant(
        "a handover leaves the recovery key on the platform's paper without a word",
        _LEAVING,
        'if whose == "platform" and not ask.root_only:',
        "if False:",
        _MOVED,
    ),
    Mutant(
        "a check of a handover hands over",
        _LEAVING,
        "    if ask.check:\n",
        "    if False:\n",
        _MOVED,
    ),
    Mutant(
        "the pins of the old root are lost in a handover",
        _LEAVING,
        "ctx.replica.publish_checkpoint(account, seeds[0], now, before)",
        "pass",
        _MOVED,
    ),
    Mutant(
        "take by the root key cuts nobody",
        _LEAVING,
        "others = [writer for writer in control.grants if writer not in keep and writer not in control.cuts]",
        "others = list[WriterKey]()",
        _MOVED,
    ),
    Mutant(
        "an account that is waited for is not wanted",
        "node/banyan_node/hosting/wanted.py",
        " or awaited.is_awaited(self._ctx.store, account)",
        "",
        _MOVED,
    ),
    Mutant(
        "who left a platform comes back with its keys",
        "node/banyan_node/hosting/claims.py",
        " and not _has_left(ctx, account, index)",
        "",
        ("tests/node/test_claims.py",),
    ),
    Mutant(
        "among nodes of chosen accounts the search for restored accounts never ends",
        "node/banyan_node/hosting/claims.py",
        "if now - link.since > AMONG_FEW_S]",
        "if False]",
        ("tests/node/test_claims.py",),
    ),
    Mutant(
        "an account whose root was moved here by rotation is not found again",
        "node/banyan_node/hosting/claims.py",
        "yield from hosted.later_roots(hosted.control_of(ctx, account))",
        "pass",
        ("tests/node/test_claims.py",),
    ),
    Mutant(
        "the digest of an account's archive is that of the store",
        "storage/banyan_storage/archive.py",
        '_export_account(reader, account, out)\n    out.frame([5, b"", reader.account_digest(account)])',
        '_export_account(reader, account, out)\n    out.frame([5, b"", reader.digest()])',
        _OUT,
    ),
    Mutant(
        "an export whose name is taken begins all the same",
        _SINKS,
        "    if path.exists() or path.is_symlink():\n",
        "    if False:\n",
        _OUT,
    ),
    Mutant(
        "an export that failed leaves its draft",
        _SINKS,
        "        draft.unlink(missing_ok=True)\n    sync_folder(path.parent)",
        "        pass\n    sync_folder(path.parent)",
        _OUT,
    ),
    Mutant("text becomes markup", _HTML, "escape(_UNREADABLE", "(lambda said, quote: said)(_UNREADABLE", _OUT),
    Mutant("whom the account blocks is in its site", _SITE, "set(q.blocks(account))", "set()", _OUT),
    Mutant("a month has one page, whatever its size", _SITE, " or on_page == A_PAGE", "", _OUT),
    Mutant("reposts are Creates", _STREAMS, "_announce(view) if view.reposted is not None else ", "", _OUT),
)
