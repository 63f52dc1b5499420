"""What people read of an account and of a post: profiles, and posts as rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView, MethodTable, Request, Response
from banyan_node.api.json_types import NOBODY, BlobHex, Did, Milliseconds, Own, PostUri, blob_hex, did, uri
from banyan_node.api.methods.posts.polls import PollRow, poll_row
from banyan_node.api.policy_rows import InteractionPolicyRow, may_not
from banyan_node.hosting import hosted
from banyan_node.hosting.home_timeline import follows
from banyan_node.hosting.sealed_reader import PrivateData
from banyan_node.hosting.visibility import ELSEWHERE, Visibility, labellers_of, read_viewer
from banyan_node.policy import vouching
from banyan_reading import identity, profiles, relations
from banyan_reading.answers import PostView, ProfileView
from banyan_reading.groups import group_of
from banyan_reading.identity import verified
from banyan_reading.interaction_rules import Act, InteractionRules
from banyan_reading.queries import Queries
from banyan_reading.responses import PostCounts, counts_of
from banyan_reading.visibility import Refusal, Verdict, ViewPlace
from banyan_schema.media import Media
from banyan_schema.social import Audience, Target
from banyan_schema.social.profile import LOCKED, LOCKED_VALUE
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import LIMITED

METHODS = MethodTable()
FOLLOWING_SHOWN = 50
VIEWER_BYTES = 2_000


class ProfileOf(Request):
    account: Own = None


class AccountName(Response):
    account: Did
    name: str


class HandleOf(Response):
    """handle: as the account claims it. platforms: the accounts that claim its domain and confirm it; without one it is
    only claimed. Whose the domain is, only DNS or its web server can prove."""

    handle: str
    platforms: list[AccountName]


class OfficialAs(Response):
    """platform: that verified it. title: what it speaks for."""

    platform: AccountName
    title: str


class MediaShownRow(Response):
    """A picture, film, sound, or captions (`text/vtt`) of the item before. here, preview_here: whether this node has
    the bytes, so that `media.read` gives them; otherwise `media.fetch` asks peers."""

    blob: BlobHex
    type: str
    size: int
    width: int | None
    height: int | None
    duration_ms: int | None
    description: str | None
    blurhash: str | None
    preview: BlobHex | None
    here: bool
    preview_here: bool


class Profile(Response):
    """fields: its texts by name, such as `name` and `bio`. pictures: `avatar` and `banner`, those that it has.
    follows, followers, posts: how many; followers of a locked account (its field `locked` is `yes`) are those whom
    it accepted. following: the first 50 accounts that it follows, by id. moved_to: as which account it goes on, and
    also_was: which ones went on as this one; both say so. official: what platforms verified that it speaks for: this
    node's own account, and those that it follows and that claim a domain. pinned: at most 16 of its posts, the one that
    was pinned last first."""

    account: Did
    name: str
    fields: dict[str, str]
    pictures: dict[str, MediaShownRow]
    follows: int
    followers: int
    posts: int
    following: list[AccountName]
    handle: HandleOf | None
    moved_to: AccountName | None
    also_was: list[AccountName]
    official: list[OfficialAs]
    pinned: list[PostRow]


class QuoteRow(Response):
    """name, text: null if the quoted post is not held here, is of one that the reader does not see, or must not be
    quoted so. warning: of the post, or its label, or the words of the reader's filter against it. refused: policy: its
    author does not let this account quote it. hidden: its author hid the quote. refused: it is itself an answer that
    is shown nowhere but on the page of its author."""

    uri: PostUri
    name: str | None
    text: str | None
    warning: str | None
    refused: Refusal | None


class InGroup(Response):
    """name: empty if the group is not held here."""

    uri: PostUri
    name: str


class Reposter(AccountName):
    time_ms: Milliseconds


class Mine(Response):
    """What the reader did with a post: the emojis of its reactions, when it reposted it, and whether it bookmarked it,
    pinned it, and muted its conversation. may_not: what the rules of the author, or of who opened the conversation, do
    not let it do."""

    reactions: list[str]
    reposted_ms: Milliseconds | None
    bookmarked: bool
    pinned: bool
    muted: bool
    may_not: list[Act]


class PostRow(Response):
    """A post as people read it. avatar: the picture of its author, the smaller one if there are two: `media.read` or
    `media.fetch` gives it. reactions: the number of accounts, by emoji. warning: to be shown instead of the text until
    the reader asks for it. filtered: the words of the reader's filter that wants that too. label: what moderators of
    this node say before it, which wants that too. mentions: whom it wants to notice it. reposted: who reposted it,
    where it stands in a feed because of that; the latest first. group: in which it was said, as its author claims:
    `group.feed` has what counts there. edited_ms: when what it says was changed last; who may answer, quote and repost
    it is not counted. reply_to_ms: the time of what it answers, if that is shown here. policy: who may answer, quote
    and repost it. refused: why it is nowhere but on the page of its author: by the policy of what it answers, or hidden
    by that author. mine: null where nobody in particular reads."""

    uri: PostUri
    account: Did
    name: str
    avatar: BlobHex | None
    text: str
    time_ms: Milliseconds
    edited: bool
    edited_ms: Milliseconds | None
    lang: str | None
    warning: str | None
    filtered: str | None
    label: str | None
    audience: Audience
    tags: list[str]
    mentions: list[AccountName]
    media: list[MediaShownRow]
    reply_to: PostUri | None
    reply_to_ms: Milliseconds | None
    root: PostUri | None
    reply_name: str | None
    quote: QuoteRow | None
    poll: PollRow | None
    replies: int
    quotes: int
    reactions: dict[str, int]
    reposts: int
    reposted: list[Reposter]
    group: InGroup | None
    policy: InteractionPolicyRow
    refused: Refusal | None
    mine: Mine | None


def profiles_of(q: Queries, accounts: Sequence[AccountId]) -> dict[AccountId, ProfileView]:
    """Profiles. They are empty also while the view is being built: a list without names is useful."""
    try:
        return q.profiles(accounts)
    except ViewBuilding:
        return {account: ProfileView(account) for account in accounts}


def name_of(q: Queries, account: AccountId) -> str:
    """The name of an account, as `profiles_of`."""
    return profiles_of(q, [account])[account].name


def account_name(q: Queries, account: AccountId) -> AccountName:
    return AccountName(did(account), name_of(q, account))


def shown_media(blobs: BlobStore, item: Media) -> MediaShownRow:
    """The row of an item of media."""

    def here(root: bytes) -> bool:
        held = blobs.find(BlobRoot(root))
        return held is not None and held.whole

    return MediaShownRow(
        blob=blob_hex(item.blob),
        type=item.type,
        size=item.size,
        width=item.width,
        height=item.height,
        duration_ms=item.duration_ms,
        description=item.description,
        blurhash=item.blurhash,
        preview=None if item.preview is None else blob_hex(item.preview),
        here=here(item.blob),
        preview_here=item.preview is not None and here(item.preview),
    )


def handle_of(q: Queries, account: AccountId, profile: ProfileView | None = None) -> HandleOf | None:
    """The handle that an account claims, and who confirms it."""
    found = identity.handle_of(q, account, profile)
    if found is None:
        return None
    return HandleOf(found.handle, [account_name(q, a) for a in found.platforms])


@METHODS.read("profile.get", "refused")
def profile_get(at: CommitView, ask: ProfileOf) -> Profile:
    """The profile of an account, and how many follow it."""
    account, q = hosted.account_of(at, ask.account), at.queries()
    found, totals = q.profile(account), q.account_totals([account])[account]
    following, to = q.follows(account, limit=FOLLOWING_SHOWN), identity.moved_to(q, account)
    return Profile(
        account=did(account),
        name=found.texts.get("name", ""),
        fields=found.texts,
        pictures={name: shown_media(at.blobs, picture) for name, picture in found.pictures.items()},
        follows=totals.follows,
        followers=relations.count(q, account, found.texts.get(LOCKED) == LOCKED_VALUE),
        posts=totals.posts,
        following=[account_name(q, a) for a in following],
        handle=handle_of(q, account, found),
        moved_to=None if to is None else account_name(q, to),
        also_was=[account_name(q, a) for a in identity.also_was(q, account)],
        official=[OfficialAs(account_name(q, one.platform), one.title) for one in verified(q, account, trusted_by(at))],
        pinned=[*map(PostRows(q, at.blobs).row, profiles.pinned(q, account))],
    )


class PostRows:
    """Makes rows of posts. profile: of an account; default: read once."""

    def __init__(
        self,
        q: Queries,
        blobs: BlobStore,
        visibility: Visibility | None = None,
        profile: Callable[[AccountId], ProfileView] | None = None,
    ) -> None:
        self._q, self._blobs, self.profile = q, blobs, profile or cache(lambda one: profiles_of(q, [one])[one])
        self._visibility, self.rules = visibility, InteractionRules(q) if visibility is None else visibility.rules
        self._reader = None if visibility is None else visibility.reader
        self._groups: dict[Target, InGroup] = {}
        self._counts: dict[Target, PostCounts | PostRow] = {}
        self._reacted: dict[Target, list[str]] = {}
        self._reposted: dict[Target, int] = {}
        self._pinned: set[Target] | None = None
        """What the reader pinned, once a post of its own is made."""

    def group(self, target: Target) -> InGroup:
        if target not in self._groups:
            found = group_of(self._q, target)
            self._groups[target] = InGroup(uri(target), found.group.name if found else "")
        return self._groups[target]

    def name(self, account: AccountId) -> str:
        return self.profile(account).name

    def _quoted(self, target: Target, by: Target) -> QuoteRow:
        original = self._q.post(target)
        refused = self.rules.refuses("quotes", by.account, [target], by)
        if refused is not None:
            return QuoteRow(uri(target), None, None, None, refused)
        hidden = self._visibility is not None and not self._visibility.sees(target.account)
        if original is None or hidden:
            return QuoteRow(uri(target), None, None, None, None)
        said, words = original.post, self._words(original)
        warning = said.warning or words.label or words.warning
        return QuoteRow(uri(target), self.name(target.account), said.text, warning, None)

    def _words(self, view: PostView) -> Verdict:
        """What stands before a post."""
        return Verdict(label=self._q.label(view.target)) if self._visibility is None else self._visibility.words(view)

    def prepare(self, views: Sequence[PostView], below: Mapping[Target, PostRow] | None = None) -> None:
        """Reads what stands below these posts, whose rows are wanted, at once, and what the reader did with them.
        below: the same posts as others read them, if that is known."""
        if not views:
            return
        found = counts_of(self._q, views, self.rules) if below is None else below
        self._counts |= found
        if self._reader is not None:
            some = {view.target: found[view.target] for view in views}
            emojis = {target: one.reactions for target, one in some.items() if one.reactions}
            self._reacted |= self._q.reacted_by(self._reader, emojis)
            self._reposted |= self._q.reposted_by(self._reader, [t for t, one in some.items() if one.reposts])

    def row(self, view: PostView) -> PostRow:
        q, said, answered, by = self._q, view.post, view.post.reply, self.profile(view.target.account)
        if view.target not in self._counts:
            self.prepare([view])
        below, words = self._counts[view.target], self._words(view)
        return PostRow(
            uri=uri(view.target),
            account=did(view.target.account),
            name=by.name,
            avatar=None if (avatar := by.avatar) is None else blob_hex(avatar),
            text=said.text,
            time_ms=view.time_ms,
            edited=below.edited_ms is not None,
            edited_ms=below.edited_ms,
            lang=said.lang,
            warning=said.warning,
            filtered=words.warning,
            label=words.label,
            audience=said.audience,
            tags=list(said.tags),
            mentions=[AccountName(did(a), self.name(a)) for a in said.mentions],
            media=[shown_media(self._blobs, item) for item in said.media],
            reply_to=uri(answered.parent) if answered else None,
            reply_to_ms=q.written_ms(answered.parent) if answered else None,
            root=uri(answered.root) if answered else None,
            reply_name=self.name(answered.parent.account) or None if answered else None,
            quote=self._quoted(said.quote, view.target) if said.quote else None,
            poll=poll_row(q, view.target, said.poll, self._reader, now_ms()) if said.poll else None,
            replies=below.replies,
            quotes=below.quotes,
            reactions=below.reactions,
            reposts=below.reposts,
            reposted=[],
            group=None if said.group is None else self.group(said.group),
            policy=InteractionPolicyRow(*said.policy),
            refused=self.rules.of(view),
            mine=self.mine(view),
        )

    def mine(self, view: PostView) -> Mine | None:
        """What the reader did with a post that was prepared."""
        if self._visibility is None or self._reader is None:
            return None
        target, answered = view.target, view.post.reply
        own = target.account == self._reader
        if own and self._pinned is None:
            self._pinned = {view.target for view in profiles.pinned(self._q, target.account)}
        return Mine(
            reactions=self._reacted.get(target, []),
            reposted_ms=self._reposted.get(target),
            bookmarked=self._visibility.keeps(target),
            pinned=own and target in (self._pinned or ()),
            muted=self._visibility.is_quiet(target if answered is None else answered.root),
            may_not=may_not(self.rules, self._reader, view),
        )

    def of(self, target: Target, hidden: bool = False) -> PostRow | None:
        """None if the post is not shown here. hidden: moderators see what they hid."""
        view = self._q.post(target, hidden)
        return None if view is None else self.row(view)


def trusted_by(at: CommitView) -> list[AccountId]:
    """The accounts whose word on official channels counts at this node: its own, those that this one follows, and
    members of its alliance."""
    own, members = hosted.me(at), vouching(at.store)
    return [*members] if own is None else [own, *follows(at.queries(), at.kept, own), *members]


def visibility_of(at: CommitView, reader: AccountId | None, where: ViewPlace = ELSEWHERE) -> Visibility:
    """What an account sees there."""
    limited, q = {*LIMITED.keys(at.store)}, at.queries()
    if reader is None:
        return Visibility(q, None, PrivateData(), limited, where, now_ms())
    held = at.private(reader)
    viewer = at.kept.made(
        ("viewer", reader), [reader, *labellers_of(held)], VIEWER_BYTES, lambda: read_viewer(q, reader, held)
    )
    if limited:
        viewer = replace(viewer, follows=frozenset(q.follows(reader)))
    return Visibility(q, viewer, held, limited, where, now_ms())


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def reader_of(at: CommitView, by: str | None) -> AccountId | None:
    """The account that reads: the one named, or this node's own if it has one. None: nobody."""
    if by == NOBODY:
        return None
    return hosted.me(at) if by is None else hosted.account_of(at, by)
