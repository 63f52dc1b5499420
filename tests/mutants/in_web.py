"""Mistakes at the door for HTTP: who is let in, and what for."""

from tests.mutants.mutant import Mutant

_APPS, _LOGINS, _STORE = (f"web/banyan_web/door_{m}.py" for m in ("apps", "logins", "store"))
_AUTHORIZE, _TOKENS, _LOGIN = (f"web/banyan_web/oauth/{m}.py" for m in ("authorize", "tokens", "login"))
_SESSIONS, _APP, _BOUNDS = (f"web/banyan_web/{m}.py" for m in ("sessions", "app", "bounds"))
_REGISTER = "web/banyan_web/mastodon/apps.py"
_BODIES, _SOCKETS = "web/banyan_web/bodies.py", "web/banyan_web/mastodon/streaming/sockets.py"
_ALLOWED, _ASKED = ("tests/web/test_oauth.py",), ("tests/web/test_hardening.py",)
_ATTACKED, _HABITS = ("tests/web/test_attacks.py",), ("tests/interop/test_habits.py",)
_PAGED, _HEARD = ("tests/web/test_paging.py",), ("tests/web/test_streaming.py",)

_STREAMS, _REVOKED = "web/banyan_web/open_streams.py", ("tests/web/test_revoked_streams.py",)

_LISTENER = "web/banyan_web/mastodon/streaming/people.py"

IN_WEB = (
    Mutant(
        "the body is read before the token is looked at",
        "web/banyan_web/app.py",
        "demand(token, endpoint.scope)",
        "demand(token, endpoint.scope) if endpoint.raw else None",
        ("tests/web/test_hardening.py",),
    ),
    Mutant(
        "refusals show patterns",
        "node/banyan_node/api/decode.py",
        '_REGEX.sub(" of that form", _PLACE.sub("", error))',
        '_PLACE.sub("", error)',
        ("tests/node/test_api.py",),
    ),
    Mutant(
        "an upload to a full disk is a fault of the node",
        _APP,
        "if is_full(why):",
        "if False:",
        ("tests/web/test_full_disk.py",),
    ),
    Mutant(
        "the door of a full disk does not open",
        _STORE,
        "if found != VERSION:",
        "if True:",
        ("tests/web/test_full_disk.py",),
    ),
    Mutant(
        "limits double at the border of two windows",
        _BOUNDS,
        "used = count + before * (ends - now) / seconds",
        "used = count",
        ("tests/web/test_hardening.py",),
    ),
    Mutant(
        "special addresses of IPv6 are asked",
        "web/banyan_web/outward.py",
        "if address not in _UNICAST:",
        "if False:",
        ("tests/web/test_platform_webhooks.py",),
    ),
    Mutant(
        "the firehose takes a token in its address",
        "web/banyan_web/firehose/sockets.py",
        'SocketEndpoint("/v1/firehose", False, ',
        'SocketEndpoint("/v1/firehose", True, ',
        ("tests/web/test_counted_sockets.py",),
    ),
    Mutant(
        "a stream of a list has all answers",
        _LISTENER,
        "answered == author or answered in self.answered",
        "True",
        ("tests/web/test_streaming.py",),
    ),
    Mutant(
        "a mute goes on in streams",
        _LISTENER,
        "fresh and time.time() * 1000 < self._until_ms",
        "fresh",
        ("tests/web/test_streaming.py",),
    ),
    Mutant(
        "what was revoked in another process goes on",
        _STORE,
        "self._written, next(iter(",
        "self._written, 0 and next(iter(",
        _REVOKED,
    ),
    Mutant(
        "a session that ended leaves its streams",
        _STORE,
        " union all select expires from sessions where hash = ?1",
        "",
        _REVOKED,
    ),
    Mutant("an expired token leaves its streams", _STREAMS, "stream.ends <= now", "not stream.ends", _REVOKED),
    Mutant(
        "what was revoked before its stream began goes on",
        _STREAMS,
        "if stream.checked != version:",
        "if stream.checked not in (None, version):",
        _REVOKED,
    ),
    Mutant(
        "a code works twice",
        _APPS,
        '        db.execute("delete from codes where hash = ?", (key,))\n',
        "",
        _ALLOWED,
    ),
    Mutant(
        "a code that comes again leaves its token",
        _APPS,
        'db.execute("delete from tokens where code = ? and client = ?", (key, app.client))',
        "pass",
        _ALLOWED,
    ),
    Mutant("a code is taken from another app", _APPS, "if grant.client != app.client:", "if False:", _ALLOWED),
    Mutant("a code is taken for another address", _APPS, "grant.redirect != redirect or not", "not", _ALLOWED),
    Mutant("a code needs no proof", _APPS, " or not _proves(grant.challenge, verifier)", "", _ALLOWED),
    Mutant(
        "the challenge can be taken away",
        _APPS,
        "return challenge is None and verifier is None",
        "return challenge is None",
        _ALLOWED,
    ),
    Mutant(
        "an address that begins like a registered one is enough",
        _AUTHORIZE,
        "redirect not in app.redirects",
        "not redirect.startswith(app.redirects)",
        _ALLOWED,
    ),
    Mutant(
        "an app gets what it did not register",
        _AUTHORIZE,
        "if not covers(app.scopes, scopes):",
        "if False:",
        _ALLOWED,
    ),
    Mutant(
        "an app ends the tokens of others", _TOKENS, "if not door_apps.owns(web.door, app, raw):", "if False:", _ALLOWED
    ),
    Mutant("a program of a browser is an address", _REGISTER, '"javascript", ', "", _ALLOWED),
    Mutant(
        "a form needs no proof", _SESSIONS, "not hmac.compare_digest", "False and not hmac.compare_digest", _ALLOWED
    ),
    Mutant("the login page leads elsewhere", _SESSIONS, " or is_odd(value)", "", _ALLOWED),
    Mutant("the cookie of before is kept", _LOGIN, "give_cookie(web, response, cookie)", "pass", _ALLOWED),
    Mutant("passwords can be tried for ever", _LOGIN, "if any(count.over for count in taken):", "if False:", _ALLOWED),
    Mutant(
        "a person ends the tokens of others",
        _STORE,
        "where id = ?1 and (?2 is null or account = ?2)",
        "where id = ?1 and (?2 is null or ?2 = ?2)",
        _ALLOWED,
    ),
    Mutant(
        "a link works twice",
        _LOGINS,
        '        db.execute("delete from links where hash = ?", (hashed(raw),))\n',
        "",
        _ALLOWED,
    ),
    Mutant("everybody is believed about addresses", _BOUNDS, "(at is None or self._is_proxy(at))", "True", _ASKED),
    Mutant("requests are not counted", _BOUNDS, "if used <= limit:", "if True:", _ASKED),
    Mutant(
        "a stream is cut at a stop", _APP, "if streaming and not ended and until.cancelled_caught:", "if False:", _ASKED
    ),
    Mutant(
        "a form is read in the codec that it names",
        _BODIES,
        'not in (b"utf-8", b"utf8", b"us-ascii")',
        "in ()",
        _ATTACKED,
    ),
    Mutant(
        "a form with files may have as much text as it likes",
        _BODIES,
        '"max_part_size": FIELD_BYTES',
        '"max_part_size": FILE_BYTES',
        _ATTACKED,
    ),
    Mutant(
        "messages of a socket are not counted",
        "web/banyan_web/sockets.py",
        'counted(self._web.bounds, self.token, "")',
        "pass",
        _ATTACKED,
    ),
    Mutant(
        "strangers have the node work for them all the time",
        "web/banyan_web/strangers.py",
        "(1 / self._share - 1)",
        "0",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "any number of strangers wait",
        "web/banyan_web/strangers.py",
        "if len(line) >= WAITING:",
        "if False:",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "a flood takes the turns of other networks",
        "web/banyan_web/strangers.py",
        "return (same, *(self._served.get((one.known, name), 0) for name in one.who))",
        "return (0, 0)",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "newcomers take the turns of accounts that are known",
        "web/banyan_web/strangers.py",
        "not self._of_known if len(lines) == 2 else lines.pop()",
        "min(lines)",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "a turn that nobody takes is nobody's",
        "web/banyan_web/strangers.py",
        "        elif not mine.sent_away:\n            self._next()",
        "        elif False:\n            self._next()",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "nobody who brings entries is known",
        "web/banyan_web/page/own.py",
        'account if seen["news"] else None',
        "None",
        ("tests/web/test_strangers.py",),
    ),
    Mutant(
        "what is public proves a key",
        "node/banyan_node/api/methods/carrying.py",
        "if not at.store.has(run.entries[-1].id):",
        "if True:",
        ("tests/node/test_carrying.py",),
    ),
    Mutant(
        "a look believes a signature",
        "node/banyan_node/api/methods/carrying.py",
        "                    verify_run(at.store.realm, run)\n",
        "",
        ("tests/node/test_carrying.py",),
    ),
    Mutant(
        "an upload whose worker died is read for ever",
        "web/banyan_web/mastodon/remembered.py",
        "if made is None and failed is None and (row[7] is None or row[7] < now):",
        "if False:",
        ("tests/web/test_uploads_interrupted.py",),
    ),
    Mutant(
        "an upload opens a file that was posted",
        "web/banyan_web/mastodon/media.py",
        " and not own.posted and",
        " and",
        ("tests/web/test_uploads_posted.py",),
    ),
    Mutant(
        "an upload counts as posted once the post was answered",
        "web/banyan_web/mastodon/remembered.py",
        "    _note_posts(door, account, ids, 1)\n    try:\n        yield\n",
        "    try:\n        yield\n        _note_posts(door, account, ids, 1)\n",
        ("tests/web/test_uploads_posted.py",),
    ),
    Mutant(
        "a live stream tells of whom its reader mutes",
        "web/banyan_web/page/live.py",
        "await row_of(web, uri, eyes.reader, eyes.where, seen=True)",
        "await row_of(web, uri, eyes.reader, eyes.where)",
        ("tests/web/test_live_hides.py",),
    ),
    Mutant(
        "each live stream makes what all tell",
        "web/banyan_web/page/live.py",
        "            if one.made is None:\n",
        "            if True:\n",
        ("tests/web/test_live_hides.py",),
    ),
    Mutant(
        "handshakes of WebSockets are not counted",
        "web/banyan_web/sockets.py",
        "counted(web.bounds, token, address)",
        "pass",
        ("tests/web/test_counted_sockets.py",),
    ),
    Mutant("a stream that is asked for again is one more", _SOCKETS, " and not stream.listens(asked)", "", _ATTACKED),
    Mutant(
        "null is a text", "web/banyan_web/params.py", "    if value is None:\n        value = default\n", "", _HABITS
    ),
    Mutant(
        "a yes in other words is refused",
        "web/banyan_web/params.py",
        "isinstance(value, str | int) and value not in FALSE else",
        "value in TRUE else",
        _HABITS,
    ),
    Mutant(
        "the last page promises another",
        "web/banyan_web/mastodon/paging.py",
        "place is not None or at.above is not None or len(lines) > at.limit",
        "True",
        _PAGED,
    ),
    Mutant(
        "a stream does not say what its reader did",
        "web/banyan_web/mastodon/streaming/people.py",
        "if some or marks else",
        "if some else",
        _HEARD,
    ),
    Mutant(
        "a stream does not say that its reader did nothing yet",
        "web/banyan_web/mastodon/streaming/people.py",
        "Eyes(unmarked=marks is False)",
        "Eyes()",
        _HEARD,
    ),
    Mutant(
        "a second page of things is empty",
        "web/banyan_web/mastodon/paging.py",
        'one.lstrip("0").rjust',
        "one.rjust",
        _HABITS,
    ),
    Mutant(
        "whom one mutes does not follow one",
        "web/banyan_web/mastodon/accounts.py",
        "by=None if own else ask.reader",
        "by=ask.reader",
        _HABITS,
    ),
)
