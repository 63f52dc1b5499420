"""Mistakes in groups: who rules them, who is a member, what is shown, and what is lost when the rules change."""

from tests.mutants.mutant import Mutant

_GROUP, _GROUPED = "schema/banyan_schema/social/group.py", "storage/banyan_storage/grouped.py"
_MODERATING = "node/banyan_node/api/methods/moderating.py"
_NOTICES = "node/banyan_node/hosting/hearing.py"
_FOLD, _APP = ("tests/storage/test_grouped.py",), ("tests/node/test_groups.py",)

IN_GROUPS = (
    Mutant(
        "an act of the wrong form counts",
        _GROUP,
        "    if (what in _OF_POSTS) != (post is not None):\n",
        "    if False:\n",
        ("tests/schema/test_group.py",),
    ),
    Mutant(
        "acts of the owner alone count",
        _GROUPED,
        "return (self.target.account, *self.moderators)",
        "return (self.target.account,)",
        _FOLD,
    ),
    Mutant(
        "an account that was accepted is a member without joining",
        _GROUPED,
        "self.joined(account) and self.admitted(account)",
        "self.admitted(account)",
        _FOLD,
    ),
    Mutant("moderators can be banned", _GROUPED, "return account not in self.rulers and", "return", _FOLD),
    Mutant(
        "a moderator removes what the owner says",
        _GROUPED,
        "if post.account == self.target.account:",
        "if False:",
        _FOLD,
    ),
    Mutant(
        "a group shows the posts of whom its owner blocks",
        _GROUPED,
        "not self.removed(said) and not self.blocked(said.account)",
        "not self.removed(said)",
        _FOLD,
    ),
    Mutant(
        "bans of an open group are not counted off",
        _GROUPED,
        "joins + owner - sum(map(self.joined, gone - {*rulers}))",
        "joins + owner",
        _FOLD,
    ),
    Mutant(
        "an invitation of anybody is told",
        _NOTICES,
        "    return one.who in group.rulers\n",
        "    return True\n",
        _APP,
    ),
    Mutant(
        "who moderates no more still hears who asks",
        _NOTICES,
        'group.group.kind == "request" and account in group.rulers',
        'group.group.kind == "request"',
        _APP,
    ),
    Mutant(
        "members fall out of a group that is open no more",
        _MODERATING,
        '    if was.kind == "open" != new.kind:\n',
        "    if False:\n",
        _APP,
    ),
    Mutant(
        "what a dismissed moderator said is lost",
        _MODERATING,
        "taken = [] if ask.drop else",
        "taken = [] if True else",
        _APP,
    ),
    Mutant(
        "who is no member posts in a group",
        "node/banyan_node/hosting/groups.py",
        "    if not found.is_member(account):\n",
        "    if False:\n",
        _APP,
    ),
)
