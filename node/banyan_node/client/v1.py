"""The calls of /v1, as values: what is asked, and the type of what is answered. Both clients do them, and the door
declares its endpoints with the same types.

    client.ask(v1.post(uri))             the blocking client
    await client.ask(v1.post(uri))       the asynchronous one
    client.pages(v1.feed("an"))          page after page

`by` is the account that reads or acts. Further parameters (`**more`) are those of the node's method in docs/api.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from banyan_node.api.declare import NoResult, Response
from banyan_node.api.json_types import Did, FirehoseCursor, Milliseconds
from banyan_node.api.methods.accounts.accounts import AccountShown, HostedRows
from banyan_node.api.methods.network.firehose import FirehoseFrontier
from banyan_node.api.methods.network.network_view import Digest, GraphFigures
from banyan_node.api.methods.people.notices import NoticesPage
from banyan_node.api.methods.people.relations import Followers
from banyan_node.api.methods.posts.feeds import Feed
from banyan_node.api.methods.posts.post_rows import PostRow, Profile
from banyan_node.api.methods.posts.posts import Reactions, Reposters
from banyan_node.api.methods.posts.provenance import Why
from banyan_node.api.methods.posts.search import SearchPage
from banyan_node.api.methods.posts.threads import Thread
from banyan_node.client.wire import JSON, HttpAnswer, refusal
from banyan_node.operator_errors import CallError

# Answers that are not those of a method of the node.


class OpenedAccount(Response):
    """recovery_words: 24 words for the user, null if the request had a commitment. repeated: whether this is the answer
    to an earlier request. error, code: why it was refused, or why its profile was. line: of the request, in bulk."""

    status: int
    name: str | None = None
    account: Did | None = None
    recovery_words: str | None = None
    repeated: bool = False
    error: str | None = None
    code: str | None = None
    line: int | None = None
    id: str | None = None


class OperationRow(Response):
    """answer: of the method. repeated: whether it is that of the first time. error, code: why it was refused. line: of
    the request."""

    status: int
    id: Any = None
    repeated: bool = False
    answer: dict[str, Any] | None = None
    error: str | None = None
    code: str | None = None
    line: int | None = None


class Webhook(Response):
    """state: disabled after it failed for a day. cursor: of the last event that was taken. error: of the last try.
    created, failing_since, tried, delivered: seconds since 1970. secret: in the answer to its making only."""

    id: str
    url: str
    accounts: list[str]
    events: list[str]
    collections: list[str]
    created: int
    state: Literal["active", "disabled"]
    cursor: str | None
    error: str | None
    failing_since: int | None
    tried: int | None
    delivered: int | None
    secret: str | None = None


class Webhooks(Response):
    webhooks: list[Webhook]


class FirehoseNote(Response, kw_only=True):
    """A line that is no event. frontier: a frontier cursor, of a note of that kind. why, message: of `end`."""

    kind: Literal["begin", "heartbeat", "frontier", "end"]
    cursor: FirehoseCursor
    time_ms: Milliseconds
    frontier: str | msgspec.UnsetType = msgspec.UNSET
    why: Literal["slow", "shutdown", "revoked", "restored", "caught_up"] | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class FirehoseDictionary(Response):
    """format: that it is for. hash: for `compress`; SHA-256 of its bytes. id: as zstd names it in a frame."""

    format: Literal["ndjson", "cbor"]
    hash: str
    id: int
    bytes: int


class FirehoseDictionaries(Response):
    dictionaries: list[FirehoseDictionary]


class ConsumerRow(Response):
    """cursor: everything up to it was confirmed."""

    name: str
    cursor: FirehoseCursor
    updated_ms: Milliseconds


class ConsumerRows(Response):
    consumers: list[ConsumerRow]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """answers: the type of the answer; bytes: as they come. body: JSON. key: an Idempotency-Key. again: whether it may
    be repeated when nobody knows whether it was done."""

    verb: str
    path: str
    answers: type[T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    key: str | None = None

    @property
    def again(self) -> bool:
        return self.verb in ("GET", "DELETE") or self.key is not None

    @property
    def target(self) -> str:
        given = [(name, one) for name, value in self.query.items() for one in _texts(value)]
        return self.path + ("?" + urlencode(given) if given else "")

    @property
    def headers(self) -> dict[str, str]:
        found = {} if self.body is None else {"content-type": JSON}
        return found if self.key is None else {**found, "idempotency-key": self.key}

    @property
    def content(self) -> bytes | None:
        return None if self.body is None else msgspec.json.encode(self.body)

    def read(self, answer: HttpAnswer) -> T:
        """Raises CallError."""
        if answer.status >= 400:
            raise refused(answer)
        if self.answers is bytes:
            return msgspec.convert(answer.content, self.answers)
        try:
            return msgspec.json.decode(answer.content, type=self.answers)
        except msgspec.DecodeError as error:
            why = f"The answer to {self.path} is none that this client knows: {error}."
            raise CallError("bad_answer", why, answer.status) from error

    def after(self, page: T) -> Call[T] | None:
        """The call for the next page; None after the last."""
        for name in ("after", "before"):
            place = getattr(page, name, None)
            if place is not None:
                return replace(self, query={**self.query, name: place})
        return None


def refused(answer: HttpAnswer) -> CallError:
    """What an answer of 400 or more says."""
    try:
        return refusal(msgspec.json.decode(answer.content), answer.status)
    except msgspec.DecodeError:
        return refusal(None, answer.status)


def _texts(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return [str(one) for one in value] if isinstance(value, list | tuple) else (str(value),)


def _named(more: Mapping[str, Any]) -> dict[str, Any]:
    return {"as" if name == "by" else name: value for name, value in more.items() if value is not None}


def _get(path: str, answers: type[T], more: Mapping[str, Any]) -> Call[T]:
    return Call("GET", path, answers, _named(more))


def _account(account: str, end: str = "") -> str:
    return f"/v1/accounts/{quote(account, safe=':')}{end}"


def _post(uri: str, end: str = "") -> str:
    """Raises ValueError for what is no URI of a post."""
    account, _, key = uri.rpartition("/")
    if not account or not key:
        raise ValueError(f"'{uri[:80]}' is no URI of a post: expected did:banyan:z.../KEY")
    return f"/v1/posts/{quote(account, safe=':')}/{quote(key)}{end}"


# -- accounts


def open_account(
    name: str, profile: Mapping[str, str] | None = None, recovery: str | None = None, key: str | None = None
) -> Call[OpenedAccount]:
    """Opens an account for a user. recovery: the commitment of a key that the user made. The name makes the call safe
    to repeat; key: instead of it."""
    body: dict[str, Any] = {"name": name, **({"profile": profile} if profile else {})}
    body |= {} if recovery is None else {"recovery": recovery}
    return Call("POST", "/v1/accounts", OpenedAccount, body=body, key=key or f"open {name}")


def accounts(after: str | None = None, limit: int = 1_000) -> Call[HostedRows]:
    """The accounts that are hosted here, in the order of opening."""
    return _get("/v1/accounts", HostedRows, {"after": after, "limit": limit})


# -- writing


def do(operation: Mapping[str, Any], key: str) -> Call[OperationRow]:
    """One operation. key: the same one is done once in a day. `Client.publish` does many."""
    return Call("POST", "/v1/operations", OperationRow, body=dict(operation), key=key)


# -- reading


def post(uri: str, **more: Any) -> Call[PostRow]:
    return _get(_post(uri), PostRow, more)


def thread(uri: str, **more: Any) -> Call[Thread]:
    return _get(_post(uri, "/thread"), Thread, more)


def reactions(uri: str, **more: Any) -> Call[Reactions]:
    return _get(_post(uri, "/reactions"), Reactions, more)


def reposts(uri: str, **more: Any) -> Call[Reposters]:
    return _get(_post(uri, "/reposts"), Reposters, more)


def why(uri: str, **more: Any) -> Call[Why]:
    """Who signed a post, and who has it."""
    return _get(_post(uri, "/why"), Why, more)


def profile(account: str, **more: Any) -> Call[Profile]:
    return _get(_account(account), Profile, more)


def feed(account: str, **more: Any) -> Call[Feed]:
    """What an account says."""
    return _get(_account(account, "/feed"), Feed, more)


def home(by: str | None = None, **more: Any) -> Call[Feed]:
    """The home timeline; `all=True`: everybody's."""
    return _get("/v1/feed", Feed, {"by": by, **more})


def followers(account: str, **more: Any) -> Call[Followers]:
    return _get(_account(account, "/followers"), Followers, more)


def following(account: str, **more: Any) -> Call[Followers]:
    return _get(_account(account, "/following"), Followers, more)


def keys(account: str) -> Call[AccountShown]:
    """The account's control log: its keys and writers."""
    return _get(_account(account, "/keys"), AccountShown, {})


def digest(account: str) -> Call[Digest]:
    """What another node must have to be equal."""
    return _get(_account(account, "/digest"), Digest, {})


def search(question: str, **more: Any) -> Call[SearchPage]:
    return _get("/v1/search", SearchPage, {"question": question, **more})


def notifications(by: str | None = None, **more: Any) -> Call[NoticesPage]:
    return _get("/v1/notifications", NoticesPage, {"by": by, **more})


def counts() -> Call[GraphFigures]:
    """The size of the graph that is held here."""
    return _get("/v1/counts", GraphFigures, {})


# -- proofs


def proof(uri: str) -> Call[bytes]:
    """What proves a post to somebody who trusts neither you nor the node."""
    return _get(_post(uri, "/proof"), bytes, {})


def archive(account: str) -> Call[bytes]:
    """The whole account, for `banyan import archive`."""
    return _get(_account(account, "/archive"), bytes, {})


# -- the firehose; `Client.follow` reads it


def frontier(since: str | None = None, **filters: Any) -> Call[FirehoseFrontier]:
    """How far a reader has come, in a form that every node understands."""
    return _get("/v1/firehose/frontier", FirehoseFrontier, {"since": since, **filters})


def consumers() -> Call[ConsumerRows]:
    return _get("/v1/firehose/consumers", ConsumerRows, {})


def ack(consumer: str, cursor: str, back: bool = False) -> Call[ConsumerRow]:
    """Confirms everything up to a cursor. It may be repeated: a late one takes nothing back."""
    path, body = f"/v1/firehose/consumers/{quote(consumer)}/ack", {"cursor": cursor, "back": back}
    return Call("POST", path, ConsumerRow, body=body, key=f"ack {cursor}"[:200])


def drop_consumer(consumer: str) -> Call[NoResult]:
    return Call("DELETE", f"/v1/firehose/consumers/{quote(consumer)}", NoResult)


def dictionaries() -> Call[FirehoseDictionaries]:
    return _get("/v1/firehose/dictionaries", FirehoseDictionaries, {})


def dictionary(hash: str) -> Call[bytes]:
    return _get(f"/v1/firehose/dictionaries/{quote(hash)}", bytes, {})


# -- webhooks; `verified` of webhooks.py reads a delivery


def new_webhook(url: str, key: str, **more: Any) -> Call[Webhook]:
    """more: secret, accounts, events, collections, since."""
    body = {"url": url, **{name: value for name, value in more.items() if value is not None}}
    return Call("POST", "/v1/webhooks", Webhook, body=body, key=key)


def webhooks() -> Call[Webhooks]:
    return _get("/v1/webhooks", Webhooks, {})


def enable_webhook(id: str) -> Call[Webhook]:
    """Goes on where it stopped."""
    return Call("POST", f"/v1/webhooks/{quote(id)}/enable", Webhook, body={})


def replay_webhook(id: str, since: str) -> Call[Webhook]:
    """Sends everything again that came after a cursor."""
    return Call("POST", f"/v1/webhooks/{quote(id)}/replay", Webhook, body={"since": since})


def delete_webhook(id: str) -> Call[NoResult]:
    return Call("DELETE", f"/v1/webhooks/{quote(id)}", NoResult)
