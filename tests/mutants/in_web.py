"""Mistakes in the rules of web/: what the door lets through."""

from tests.mutants.mutant import Mutant

IN_WEB = (
    Mutant(
        "everybody is believed about addresses",
        "Bounds.address",
        "at is None or self._is_proxy(at)",
        "True",
        ("tests/web/test_hardening.py",),
    ),
    Mutant(
        "a code that comes again leaves its token",
        "redeem",
        "db.execute('delete from tokens where code = ? and client = ?', (key, app.client))",
        "pass",
        ("tests/web/test_oauth.py",),
    ),
    Mutant(
        "a code needs no proof",
        "redeem",
        "row[5] <= time.time() or grant.redirect != redirect or (not _proves(grant.challenge, verifier))",
        "row[5] <= time.time() or grant.redirect != redirect",
        ("tests/web/test_oauth.py",),
    ),
    Mutant(
        "who is signed out stays logged in",
        "door_logins.sign_out",
        "('links', 'sessions')",
        "('links',)",
        ("tests/web/test_admin.py",),
    ),
    Mutant(
        "recovery words are kept when their account is erased",
        "FORGETS",
        '"""name in (select name from sealed_of where about in (:account, :name))"""',
        '"""name in (select name from sealed_of where about = :account)"""',
        ("tests/web/test_ending.py",),
    ),
    Mutant(
        "wrapped keys are told to who may not read what they open",
        "following.SEALED",
        "('private', 'keyring')",
        "('private',)",
        ("tests/web/test_firehose_proofs.py",),
    ),
    Mutant(
        "readers go on in a store that became another",
        "firehose.following.follow",
        "page is None and seen is None and (not wanted.by_node_alone) and (store_of(tail.cursor) == store_of(cursor))",
        "page is None and seen is None and (not wanted.by_node_alone)",
        ("tests/web/test_firehose_forms.py",),
    ),
    Mutant(
        "a follower that is behind what is kept skips to it",
        "Tail.after",
        "self._first is None or place < self._first or known.n > self._known.n or (known.a > self._known.a)",
        "self._first is None or known.n > self._known.n or known.a > self._known.a",
        ("tests/web/test_firehose.py",),
    ),
    Mutant(
        "a private post is published for all to read",
        "mastodon.composing.content",
        "visibility not in _VISIBLE",
        "False",
        ("tests/web/test_statuses.py",),
    ),
    Mutant(
        "a stream shows those whom its account mutes",
        "Hub._give",
        "visible(viewer, facts, place, now_ms).why is not None",
        "False",
        ("tests/web/test_streaming.py",),
    ),
    Mutant(
        "an address that begins like a registered one is enough",
        "authorize._asked",
        "redirect not in app.redirects",
        "not redirect.startswith(app.redirects)",
        ("tests/web/test_oauth.py",),
    ),
    Mutant(
        "passwords can be tried for ever",
        "login._proved",
        "any((count.over for count in taken))",
        "False",
        ("tests/web/test_oauth.py",),
    ),
    Mutant(
        "what was revoked before its stream began goes on",
        "OpenStreams._look",
        "stream.checked != version",
        "stream.checked not in (None, version)",
        ("tests/web/test_revoked_streams.py",),
    ),
    Mutant(
        "the page asks nobody whether he moderates",
        "_demand",
        "await reports_for(web, me) is None",
        "False",
        ("tests/web/test_moderation.py",),
    ),
    Mutant(
        "an app's own token acts as anybody",
        "is_platform",
        "token is not None and token.account is None and token.allows(HOST)",
        "token is not None and token.account is None",
        ("tests/web/test_platform.py",),
    ),
    Mutant(
        "a person acts as another one",
        "acting.acting",
        "if named in (None, ask.account) or (own is not None and named == own):\n    return ask.account",
        "if named is not None:\n    return named\nif named is None:\n    return ask.account",
        ("tests/web/test_platform.py",),
    ),
    Mutant(
        "a form of a page needs no proof", "sessions.sent", "at.check(ask.params)", "pass", ("tests/web/test_page.py",)
    ),
    Mutant(
        "newcomers take the turns of accounts that are known",
        "Strangers._next",
        "not self._of_known if len(lines) == 2 else lines.pop()",
        "min(lines)",
        ("tests/web/test_strangers.py",),
    ),
)
