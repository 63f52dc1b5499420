"""Mistakes in channels: whose episodes are shown, in which order, and what pages give."""

from tests.mutants.mutant import Mutant

_CHANNEL, _SERIES = "schema/banyan_schema/social/channel.py", "storage/banyan_storage/series.py"
_EPISODES, _NOTICES = "node/banyan_node/api/methods/episodes.py", "node/banyan_node/hosting/hearing.py"
_LAWS, _FOLD, _APP = (
    ("tests/schema/test_channel.py",),
    ("tests/storage/test_series.py",),
    ("tests/node/test_channels.py",),
)

IN_CHANNELS = (
    Mutant(
        "an episode without a number is before all others",
        _CHANNEL,
        '_LAST = b"\\xff" * 8',
        '_LAST = b"\\0" * 8',
        _LAWS,
    ),
    Mutant(
        "an episode is at the time that it claims, to come too",
        _CHANNEL,
        "post_time(time, values[5])",
        "(time if values[5] is None else (values[5] << 16 & (1 << 64) - 1).to_bytes(8, 'big'))",
        _LAWS,
    ),
    Mutant(
        "an episode of somebody else's channel is one",
        _SERIES,
        "not isinstance(found, Episode) or found.channel.account != target.account",
        "not isinstance(found, Episode)",
        _FOLD,
    ),
    Mutant(
        "a page of episodes repeats its last one",
        _SERIES,
        "begin = after_prefix(start + after) if after else start",
        "begin = start + after",
        _FOLD,
    ),
    Mutant(
        "a page of new episodes skips those of the same time",
        _SERIES,
        "after_prefix(time) if channel.account < account else time",
        "time",
        _FOLD,
    ),
    Mutant(
        "whoever likes adds to a channel",
        "node/banyan_node/api/methods/channels.py",
        "    if target.account != account:\n",
        "    if False:\n",
        _APP,
    ),
    Mutant(
        "what is new has episodes of channels that were dropped",
        _EPISODES,
        "lens.sees(one.account) and channel_of(q, one) is not None",
        "lens.sees(one.account)",
        _APP,
    ),
    Mutant(
        "a post is shown although its reader blocks its author",
        _EPISODES,
        "    if not lens.shows(target.account, view.post):\n",
        "    if False:\n",
        _APP,
    ),
    Mutant(
        "an episode of another channel of the account is told",
        _NOTICES,
        "one.channel in channels and one.channel.account == one.who",
        "one.channel.account == one.who",
        _APP,
    ),
    Mutant(
        "what a device adds to a playlist takes out all that was there",
        "node/banyan_node/api/methods/playlists.py",
        "start = was if ask.posts is None else",
        "start = () if ask.posts is None else",
        ("tests/node/test_playlists.py",),
    ),
)
