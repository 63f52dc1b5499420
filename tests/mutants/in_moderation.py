"""Mistakes of moderation and of the audit log: who may decide, what holds here, what is written down."""

from tests.mutants.mutant import Mutant

_AUDIT, _DISPATCH = "node/banyan_node/home/audit.py", "node/banyan_node/api/dispatch.py"
_DECISIONS, _REPORTS = (f"node/banyan_node/api/methods/{name}.py" for name in ("decisions", "reports"))
_QUERIES, _READING = "storage/banyan_storage/queries.py", "node/banyan_node/api/methods/reading.py"
_PAGE, _CONTENT = "web/banyan_web/page/moderation.py", "node/banyan_node/api/methods/content.py"
_LOGGED, _DECIDED = ("tests/node/test_audit.py",), ("tests/node/test_moderation.py",)
_COPIES, _ORDERS = "node/banyan_node/moderation/copies.py", ("tests/node/test_withholding.py",)
_ERASING, _ERASED = "node/banyan_node/hosting/erasing.py", ("tests/node/test_erasing.py",)
_STATED, _SAID = "node/banyan_node/hosting/stated.py", ("tests/node/test_stated.py",)
_JUDGED = ("tests/web/test_judged.py",)
_ADMIN, _PAGES = ("tests/web/test_admin.py",), ("tests/web/test_moderation.py",)

IN_MODERATION = (
    Mutant(
        "a boost brings a limited account's post to who does not follow it",
        "web/banyan_web/mastodon/streaming/hub.py",
        "        if to and await is_limited(web, of):\n",
        "        if False:\n",
        ("tests/web/test_moderation.py",),
    ),
    Mutant(
        "a quote brings to a public stream what its reader does not see",
        "web/banyan_web/mastodon/streaming/hub.py",
        "marks=True if quoted in person.unseen else None",
        "marks=None",
        ("tests/web/test_streaming.py",),
    ),
    Mutant(
        "a line of the audit log names none before it",
        _AUDIT,
        "(of, _cut(refused), end.head)",
        "(of, _cut(refused), START)",
        _LOGGED,
    ),
    Mutant(
        "an act is done though it cannot be written down",
        _DISPATCH,
        "            n = await self._write_down(partial(self._audit.append, by, name, given))\n",
        "            n = 0\n",
        _LOGGED,
    ),
    Mutant(
        "secrets stand in the audit log",
        "node/banyan_node/api/decode.py",
        '"secret" if is_secret(method.asks, name) else value for',
        "value for",
        _LOGGED,
    ),
    Mutant(
        "what a crash left of a line is not noted",
        _AUDIT,
        "                if end.torn:\n                    lost",
        "                if False:\n                    lost",
        _LOGGED,
    ),
    Mutant(
        "what a crash left of a line stays",
        _AUDIT,
        "            if end.torn:\n                os.ftruncate",
        "            if False:\n                os.ftruncate",
        _LOGGED,
    ),
    Mutant(
        "garbage behind a file of the audit log is passed over",
        _AUDIT,
        "if rest and at + 1 < len(paths):",
        "if False:",
        _LOGGED,
    ),
    Mutant("a moderator decides about himself", _DECISIONS, "    if by == about:\n", "    if False:\n", _DECIDED),
    Mutant("anybody decides", _DECISIONS, "if not moderators.is_moderator(ctx.store, by):", "if False:", _DECIDED),
    Mutant(
        "a hidden post is shown",
        _QUERIES,
        "if self.hides and not hidden and self.is_hidden(Target(account, CellKey(key))):",
        "if False:",
        _DECIDED,
    ),
    Mutant(
        "followers do not see whom moderators limit",
        _READING,
        "limited.difference_update(q.follows(reader), [reader])",
        "pass",
        _DECIDED,
    ),
    Mutant(
        "reports have no bound",
        _REPORTS,
        "if reports.today(ctx.store, by, at_ms) >= reports.A_DAY:",
        "if False:",
        _DECIDED,
    ),
    Mutant(
        "who is signed out stays logged in",
        "web/banyan_web/door_logins.py",
        'for table in ("links", "sessions"):',
        'for table in ("links",):',
        _ADMIN,
    ),
    Mutant(
        "a ban never ends",
        "node/banyan_node/links/bans.py",
        'if int.from_bytes(raw, "big") <= now_ms:',
        "if False:",
        _ADMIN,
    ),
    Mutant(
        "streams hear nothing of what is hidden",
        _DECISIONS,
        "        tell_judged(ctx, posts)\n",
        "",
        _JUDGED,
    ),
    Mutant(
        "streams hear nothing of a decision that is taken back",
        _DECISIONS,
        "        tell_judged(ctx, map(target_of, made.posts))\n",
        "",
        _JUDGED,
    ),
    Mutant(
        "streams hear nothing of what is withheld",
        _CONTENT,
        "    tell_judged(ctx, [target])  # before",
        "    # before",
        _JUDGED,
    ),
    Mutant(
        "streams hear nothing of released content that comes from a peer",
        _CONTENT,
        "    if posts:\n        tell_judged(ctx, posts)\n",
        "",
        _JUDGED,
    ),
    Mutant(
        "a release is told before the content is here",
        _CONTENT,
        "    if len(lacking) < len(wanted):\n",
        "    if wanted:\n",
        _JUDGED,
    ),
    Mutant(
        "a hidden post is gone for its author's followers alone",
        "web/banyan_web/mastodon/streaming/hub.py",
        "for stream in list(streams) if channel.name not in WITHOUT_POSTS else ():",
        "for stream in [s for s, c in self._around(post['uri'].partition('/')[0]) if c == channel]:",
        _JUDGED,
    ),
    Mutant(
        "what is erased stays in the data file",
        _ERASING,
        "            ctx.engine.rewrite()\n",
        "            pass\n",
        _ERASED,
    ),
    Mutant(
        "pictures of an erased account stay",
        _ERASING,
        "            ctx.blobs.drop(root)\n",
        "            pass\n",
        _ERASED,
    ),
    Mutant(
        "a picture goes that another post shows",
        _ERASING,
        "if not is_named(ctx.store.txn, root):",
        "if True:",
        _ERASED,
    ),
    Mutant("reports keep what was erased", _ERASING, "    reports.forget(store, account)\n", "", _ERASED),
    Mutant(
        "an account is erased although its closing was undone",
        _ERASING,
        "control is not None and control.closed and not control.frozen",
        "control is not None",
        _ERASED,
    ),
    Mutant(
        "an account is closed without its name",
        "node/banyan_node/api/methods/keys.py",
        "    if typed not in (home.name, account_to_text(home.account)):\n",
        "    if False:\n",
        (*_ERASED, "tests/web/test_ending.py"),
    ),
    Mutant(
        "the data file is written anew beside another process that reads it",
        "storage/banyan_storage/lmdb_copying.py",
        "    if readers:\n",
        "    if False:\n",
        ("tests/storage/test_lmdb_copying.py",),
    ),
    Mutant(
        "who took an account elsewhere is still hosted",
        "node/banyan_node/hosting/claims.py",
        "            hosted.end(ctx, account)\n",
        "            pass\n",
        ("tests/node/test_leaving.py", "tests/cli/test_leaving.py"),
    ),
    Mutant(
        "anybody's statement withholds a post here",
        _STATED,
        "    return hosts or signer.hex() in ctx.settings.config.node.platforms\n",
        "    return True\n",
        _SAID,
    ),
    Mutant(
        "a platform that the operator named may not say what it withholds",
        _STATED,
        "    return hosts or signer.hex() in ctx.settings.config.node.platforms\n",
        "    return hosts\n",
        _SAID,
    ),
    Mutant("a stranger's word is shown at any length", _STATED, "None if counts else HEARSAY", "None", _SAID),
    Mutant(
        "a stranger's word takes the place of an order",
        _STATED,
        "(known is not None and not known.counts):",
        "known is not None:",
        _SAID,
    ),
    Mutant("a statement counts after its term", _STATED, "until == 0 or until > now_ms)", "True)", _SAID),
    Mutant(
        "what is withheld by an order is merely not found",
        "node/banyan_node/api/methods/social.py",
        "    if (order := withheld_row(gone)) is None:\n",
        "    if not (order := withheld_row(gone)) or True:\n",
        _SAID,
    ),
    Mutant(
        "the page asks nobody whether he moderates",
        _PAGE,
        "    if await reports_for(web, me) is None:\n",
        "    if False:\n",
        _PAGES,
    ),
    Mutant(
        "the gossip goes on giving out what is withheld",
        _CONTENT,
        "            ctx.replica.gossip.forget_content(raw)\n",
        "            pass\n",
        _ORDERS,
    ),
    Mutant(
        "copies of withheld content are kept in clear",
        _COPIES,
        "bytes(_box(keys, ref).encrypt(raw)))\n\n\ndef _ref",
        "raw)\n\n\ndef _ref",
        _ORDERS,
    ),
    Mutant(
        "withheld content has no copy", _CONTENT, "0 if ask.erase else copies.keep(ctx, target, refs)", "0", _ORDERS
    ),
    Mutant("the term of an order never ends", _CONTENT, "order.expires_ms:", "False:", _ORDERS),
    Mutant(
        "a copy outlives what its author deleted",
        "node/banyan_node/upkeep/chores.py",
        "            copies.drop(ctx.store, account, key)\n",
        "            pass\n",
        _ORDERS,
    ),
    Mutant(
        "the author cannot delete what is withheld",
        "node/banyan_node/api/methods/social.py",
        'if why_gone(ctx.queries(), post).word != "withheld":',
        "if True:",
        _ORDERS,
    ),
    Mutant(
        "reports of nobody are asked of the node",
        "web/banyan_web/platform/acting.py",
        "        if needed and not named:\n",
        "        if False:\n",
        ("tests/web/test_platform_reading.py",),
    ),
)
