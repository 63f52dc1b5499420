"""Mistakes in what an account hears of, in what it keeps to itself, and in how it sees the others."""

from tests.mutants.mutant import Mutant

_NOTICED, _NOTICES = "storage/banyan_storage/noticed.py", "node/banyan_node/api/methods/notices.py"
_HEARD = ("tests/storage/test_noticed.py", "tests/storage/test_views.py")
_TOLD = ("tests/node/test_notices.py",)
_PRIVATE, _VAULT = "node/banyan_node/hosting/private.py", "node/banyan_node/hosting/vault.py"
_LENS, _FEEDS = "node/banyan_node/hosting/lens.py", "node/banyan_node/api/methods/feeds.py"
_KEPT = ("tests/node/test_private.py",)
_WORDS, _INDEX = (f"storage/banyan_storage/search/{m}.py" for m in ("words", "index"))
_FOLLOWING, _FOUND = "storage/banyan_storage/search/following.py", ("tests/storage/test_search.py",)

_VOTE, _POLLED = "schema/banyan_schema/social/vote.py", ("tests/schema/test_vote.py", "tests/node/test_polls.py")
_THREADS = "storage/banyan_storage/threads.py"
_READ = ("tests/storage/test_queries.py", "tests/node/test_reading.py")
_ENDED, _TOLD_ENDED = "storage/banyan_storage/ended.py", ("tests/storage/test_ended.py",)
_SOCIAL = "node/banyan_node/api/methods/social.py"
IN_SOCIAL = (
    Mutant(
        "a time that no calendar has is an error",
        "schema/banyan_schema/dates.py",
        "milliseconds=min(max(FIRST_MS, ms), LAST_MS)",
        "milliseconds=ms",
        ("tests/schema/test_dates.py",),
    ),
    Mutant("a vote that is late counts", _VOTE, "if late or (choices", "if (choices", _POLLED),
    Mutant("a vote for two counts where one is asked for", _VOTE, "len(options) != 1", "not options", _POLLED),
    Mutant(
        "votes for a poll before its edit count",
        _VOTE,
        "encode(POLL_OF_POST.plain(poll))",
        'b""',
        _POLLED,
    ),
    Mutant(
        "an account votes in as many cells as it likes",
        "storage/banyan_storage/views/social/ballots.py",
        "if cell != _cell(named):",
        "if False:",
        ("tests/storage/test_views_proved.py",),
    ),
    Mutant("a deleted answer hides its answers", _THREADS, "in _loose(q, root, spot):", "in ():", _READ),
    Mutant(
        "a page of answers forgets what is behind those above it",
        _THREADS,
        "if up is None or up.at == start.branch or up.depth <= 1:",
        "if True:",
        _READ,
    ),
    Mutant(
        "what somebody reposts is not in the timelines of followers",
        "storage/banyan_storage/timelines.py",
        "POSTS, WITH_REPOSTS = (TIMELINE,), (TIMELINE, SHARES)",
        "POSTS, WITH_REPOSTS = (TIMELINE,), (TIMELINE,)",
        _READ,
    ),
    Mutant(
        "one account's mentions hide what others say",
        _NOTICED,
        " and days.takes(number + bytes((what,)), place)",
        "",
        _HEARD,
    ),
    Mutant(
        "what is too much of one account is read all the same",
        _NOTICED,
        "stop = row[:10] + days.begin(row[10:])\n                break",
        "continue",
        _HEARD,
    ),
    Mutant(
        "the newest day of an account hides the days before",
        _NOTICED,
        "and self._day(read[0]) == self._day(place)",
        "",
        _HEARD,
    ),
    Mutant("what one post does is told twice", _NOTICED, "if place == last:", "if False:", _HEARD),
    Mutant("one hears of what one does oneself", _NOTICED, "who != account and wanted", "wanted", _HEARD),
    Mutant(
        "those who are blocked are heard",
        "node/banyan_node/hosting/hearing.py",
        "lens.sees(who) and told(what, who) in kinds",
        "told(what, who) in kinds",
        _TOLD,
    ),
    Mutant(
        "a page of which nothing is told is the last one",
        _NOTICES,
        "        last, looked = place, looked + 1\n",
        "        last, looked = place if one else last, looked + 1\n",
        _TOLD,
    ),
    Mutant(
        "an edit takes away whom a post names and of what it warns",
        "node/banyan_node/api/methods/social.py",
        "mentions=post.mentions\n        if ask",
        "mentions=()\n        if ask",
        _TOLD,
    ),
    Mutant(
        "pages of everybody merge all accounts",
        _FEEDS,
        "if ask.local and hosted.count(at) <= MERGED:\n        return hosted.ids(at)\n    return None",
        "return [*at.store.accounts()]",
        ("tests/web/test_costs_of_strangers.py",),
    ),
    Mutant(
        "a usual post is not among those of everybody",
        "storage/banyan_storage/views/folding.py",
        '                recent((OPENING + seed + number + slot[13:] + place, b""))\n',
        "",
        ("tests/storage/test_views.py",),
    ),
    Mutant("an unlisted post is in a public timeline", _FEEDS, "if ask.all and post", "if False and post", _TOLD),
    Mutant("a mute never ends", _LENS, "until_ms is None or until_ms > now_ms", "True", _KEPT),
    Mutant("a filter finds the beginning of a word", _LENS, 'r"(?!\\w)" if whole and said', 'r"" if said', _KEPT),
    Mutant(
        "who is blocked answers the one who blocks, for others to read",
        "node/banyan_node/api/methods/threads.py",
        "if author in self._blocked:",
        "if False:",
        _KEPT,
    ),
    Mutant(
        "a feed of which most is hidden ends early",
        _FEEDS,
        "            return [*page.values()], feed_cursor(last)\n",
        "            return [*page.values()], feed_cursor(last) if len(page) == limit else None\n",
        _KEPT,
    ),
    Mutant("what is private is sealed for one that was cut", _PRIVATE, "s.known_to <= {*readers}", "True", _KEPT),
    Mutant("who wrapped a secret does not know it", _VAULT, "self.holders | self.by", "self.holders", _KEPT),
    Mutant(
        "a writer that was granted later is not handed the secret",
        _PRIVATE,
        "if w not in known.holders]",
        "if not known.holders]",
        _KEPT,
    ),
    Mutant("a word with marks is found without them", _WORDS, "exactly = folded != words", "exactly = False", _FOUND),
    Mutant(
        "the words of what was deleted stay in the index",
        _INDEX,
        "                self._db.execute(remove, (row, *words))\n",
        "                (remove, words)\n",
        _FOUND,
    ),
    Mutant("a page of a search begins with the last post of the one before", _INDEX, "before - 1", "before", _FOUND),
    Mutant("unlisted posts are found", _FOLLOWING, 'view.post.audience != "public"', "False", _FOUND),
    Mutant("old mutes stay in clear", _PRIVATE, "for cell in sorted(cells)", "for cell in ()", _KEPT),
    Mutant(
        "what was in a set that was ended is not erased",
        "node/banyan_node/upkeep/chores.py",
        "isinstance(op, Put | Add) and (op",
        "isinstance(op, Put) and (op",
        _KEPT,
    ),
    Mutant("a poll is told before it ends", _ENDED, "now_ms + 1", "now_ms + 99", _TOLD_ENDED),
    Mutant(
        "of polls that ended together one is told",
        _ENDED,
        "reversed([*enumerate(",
        "reversed([*zip((BEHIND,), ",
        _TOLD_ENDED,
    ),
    Mutant(
        "the page behind a poll that ended begins with it", _ENDED, "place < before", "place <= before", _TOLD_ENDED
    ),
    Mutant(
        "a poll that was edited is told when it would have ended",
        _ENDED,
        ".closes_ms != ends_ms",
        ".closes_ms < 0",
        _TOLD_ENDED,
    ),
    Mutant(
        "a poll that ended moves up as more arrives",
        "storage/banyan_storage/arrived.py",
        "return t.number(row[0]) - 1",
        "return t.number(row[0])",
        _TOLD_ENDED,
    ),
    Mutant(
        "an answer in a group is said outside of it",
        _SOCIAL,
        "return group.target if group is not None and group.is_member(account) else None",
        "return None",
        ("tests/node/test_groups.py",),
    ),
    Mutant(
        "who is no member answers in a group",
        _SOCIAL,
        "group is not None and group.is_member(account)",
        "group is not None",
        ("tests/node/test_groups.py",),
    ),
    Mutant(
        "posts of others are pinned",
        _SOCIAL,
        'if target.account != account:\n        raise CallError("refused", "Only posts',
        'if False:\n        raise CallError("refused", "Only posts',
        ("tests/node/test_pinning.py",),
    ),
    Mutant(
        "the place of another conversation is taken",
        "node/banyan_node/api/methods/threads.py",
        "if named != conversation(asked):",
        "if False:",
        _READ,
    ),
    Mutant(
        "a page of reactions begins with the last one of the page before",
        "storage/banyan_storage/responding.py",
        "after_prefix(target.raw + after) if after",
        "target.raw + after if after",
        ("tests/node/test_responses.py",),
    ),
    Mutant(
        "who does not follow back is mutual",
        "node/banyan_node/api/methods/followers.py",
        'relates(at.store.txn, one, "follow", account)',
        "True",
        ("tests/node/test_responses.py",),
    ),
    Mutant(
        "a draft that changed is lost when another device published it",
        "node/banyan_node/hosting/drafts.py",
        "if there and not _says(q.post(Target(account, key)), said):",
        "if False:",
        ("tests/node/test_drafts.py",),
    ),
    Mutant(
        "a scheduled post goes out although its parent is gone",
        "node/banyan_node/hosting/drafts.py",
        "target is not None and not q.is_shown(target)",
        "False",
        ("tests/node/test_drafts.py",),
    ),
    Mutant(
        "who left a group still posts there by a draft",
        "node/banyan_node/hosting/drafts.py",
        "group is None or not group.is_member(account)",
        "group is None",
        ("tests/node/test_drafts.py",),
    ),
    Mutant(
        "scheduled posts come out of order",
        "node/banyan_node/hosting/drafts.py",
        "now_ms - len(rows) + number if late else draft.due_ms",
        "now_ms",
        ("tests/node/test_drafts.py",),
    ),
    Mutant(
        "an episode is unread for ever",
        "node/banyan_node/api/methods/markers.py",
        "tellers(q, account), now_ms()",
        "(), now_ms()",
        ("tests/node/test_notices.py",),
    ),
    Mutant(
        "an episode without its post is told",
        "node/banyan_node/hosting/hearing.py",
        "one.post is None or not q.is_shown(one.post)",
        "one.post is None",
        ("tests/node/test_notices.py",),
    ),
    Mutant(
        "a hidden quote is counted",
        "storage/banyan_storage/responding.py",
        "    if not count or not ask.hides:\n        return count\n",
        "    if count:\n        return count\n",
        ("tests/node/test_quotes.py",),
    ),
    Mutant(
        "quotes by whom the author blocks are listed",
        "node/banyan_node/api/methods/feeds.py",
        "lambda view: view.target.account not in blocked",
        "lambda view: True or view.target.account not in blocked",
        ("tests/node/test_quotes.py",),
    ),
    Mutant(
        "all kinds of reactions of a post are read",
        "storage/banyan_storage/views/social/reactions.py",
        "txn.prefix(REACTION_COUNTS, target, limit=KINDS)",
        "txn.prefix(REACTION_COUNTS, target)",
        ("tests/node/test_flooded_reads.py",),
    ),
)
