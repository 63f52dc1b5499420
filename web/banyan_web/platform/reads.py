"""Reading: anything that the node holds, as any account, with proofs and archives. The answers are the node's own rows.

Parameters are those of the node's method, as text in the query; an unknown one is an error. Each answer has an ETag: a
client that names it in If-None-Match gets 304 as long as the answer would be the same.
"""

from __future__ import annotations

import re
from base64 import b64decode
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta
from starlette.responses import Response

from banyan_node.api.declare import Method
from banyan_node.api.decode import takes
from banyan_node.api.dispatch import method_of
from banyan_web.archive_downloads import FileAnswer, archive_of
from banyan_web.endpoint import Do, DoorContext, DoorRequest, Endpoints, EndpointShape
from banyan_web.platform.requests import is_platform, only, reading
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
READ = "read"


_AS = (
    "A DID, or the name of an account hosted here. A person's token reads as that person, named or not; "
    "one of no account "
)
READS_AS = Annotated[str | None, Meta(description=_AS + "reads as nobody, what everybody sees, unless it names one.")]
OF_ACCOUNT = Annotated[str | None, Meta(description=_AS + "has to name one.")]


class Read(NamedTuple):
    """GET `path` answers what `method` answers. fixed: parameters that the path gives, by their name there: `{uri}` is
    account and key."""

    path: str
    method: str
    fixed: dict[str, str]
    left_out: tuple[str, ...] = ()
    """Parameters of the method that are none here."""
    shown: tuple[str, ...] = ()
    """Of the answer; empty: all of it."""
    own: bool = False
    """Whether it is of the account that reads, so that a token of no account has to name one."""


_POST, _ACCOUNT = "/v1/posts/{account}/{key}", "/v1/accounts/{account}"
_URI, _WHO = {"uri": "{account}/{key}"}, {"account": "{account}"}
READS = (
    Read(_POST, "post.get", _URI),
    Read(_POST + "/thread", "thread", _URI),
    Read(_POST + "/reactions", "reactions", _URI),
    Read(_POST + "/reposts", "reposts", _URI, ("every",)),
    Read(_POST + "/quotes", "feed", {"quotes": "{account}/{key}"}, ("account", "all", "in_list", "rank")),
    Read(_POST + "/why", "why", _URI),
    Read(_ACCOUNT, "profile.get", _WHO),
    Read(_ACCOUNT + "/feed", "feed", _WHO, ("all", "in_list", "quotes", "rank")),
    Read(_ACCOUNT + "/followers", "followers", _WHO),
    Read(_ACCOUNT + "/following", "following", _WHO),
    Read(_ACCOUNT + "/counts", "profile.get", _WHO, (), ("account", "follows", "followers", "posts")),
    Read(_ACCOUNT + "/keys", "account.show", _WHO),
    Read(_ACCOUNT + "/digest", "digest", _WHO),
    Read("/v1/feed", "feed", {}, ("account", "quotes")),
    Read("/v1/search", "search", {}),
    Read("/v1/notifications", "notifications", {}, own=True),
    Read("/v1/counts", "graph.stats", {}),
    Read("/v1/reports", "report.mine", {}, own=True),
    Read("/v1/decisions", "decision.mine", {}, own=True),
)
"""What can be read."""


def names_of(read: Read) -> list[str]:
    """Its parameters in the query."""
    asks = method_of(read.method).asks
    return [name for name in asks.__struct_encode_fields__ if name not in read.fixed and name not in read.left_out]


def _endpoint(read: Read) -> Do:
    async def do(web: DoorContext, ask: DoorRequest) -> Response:
        only(ask.params, *names_of(read))
        method, as_ = method_of(read.method), await reading(web, ask, read.own)
        params = {name: _value(method, name, value) for name, value in ask.params.items() if name != "as"}
        params |= {name: said.format(**ask.path) for name, said in read.fixed.items()}
        if "as" in method.asks.__struct_encode_fields__:
            params["by"] = as_
        found = await web.call(read.method, **params)
        return tagged(ask, {name: found[name] for name in read.shown} if read.shown else found)

    do.__doc__ = method_of(read.method).about
    return do


def _value(method: Method, name: str, said: Any) -> Any:
    """A parameter of a query, in the type that the method has. Raises HttpRefusal."""
    field = next(f for f in msgspec.structs.fields(method.asks) if f.encode_name == name)
    try:
        return msgspec.convert(said, field.type, strict=False)
    except msgspec.ValidationError:
        pass
    try:  # a list of one
        return msgspec.convert([said], field.type, strict=False)
    except msgspec.ValidationError:
        says = f"'{name}' is {takes(method.asks, name)}; it got {said!r:.60}."
        raise HttpRefusal(422, says) from None


def tagged(ask: DoorRequest, value: Any) -> Response:
    """JSON with an ETag, or 304 if the client has it already."""
    body = msgspec.json.encode(value)
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "authorization"}
    if ask.has(tag):
        return Response(None, 304, headers)
    return Response(body, 200, headers | {"content-type": "application/json; charset=utf-8"})


def _shown(read: Read, method: Method) -> type[msgspec.Struct]:
    """The type of a part of an answer."""
    fields = [(f.name, f.type) for f in msgspec.structs.fields(method.answers) if f.name in read.shown]
    words = re.findall(r"[a-z]+", read.path.rpartition("}")[2])
    return msgspec.defstruct("".join(word.title() for word in words) + "Answer", fields, frozen=True)


def _shape(read: Read) -> EndpointShape:
    method = method_of(read.method)
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(method.asks)}
    kinds["as"] = OF_ACCOUNT if read.own else READS_AS
    return EndpointShape(
        None,
        _shown(read, method) if read.shown else method.answers,
        query={name: kinds[name] for name in names_of(read)},
        tagged=True,
    )


for _read in READS:
    ENDPOINTS.get(_read.path, READ, _shape(_read))(_endpoint(_read))


# What others check without trusting this node.

_RAW = {"content-type": "application/octet-stream", "vary": "authorization"}


_PROOF = EndpointShape(gives="application/octet-stream", tagged=True)
_ARCHIVE = EndpointShape(gives="application/octet-stream")


@ENDPOINTS.get("/v1/posts/{account}/{key}/proof", READ, _PROOF)
async def proof(web: DoorContext, ask: DoorRequest) -> Response:
    """What proves a post, in the frames of an archive: its author's control log, and the signed run with it."""
    only(ask.params)
    await reading(web, ask)
    found = await web.call("post.proof", uri=f"{ask.path['account']}/{ask.path['key']}")
    tag = f'"{found["entry"][:32]}"'
    headers = _RAW | {"etag": tag, "cache-control": "private, no-cache"}
    if ask.has(tag):
        return Response(None, 304, headers)
    return Response(b64decode(found["archive"]), 200, headers)


@ENDPOINTS.get("/v1/accounts/{account}/archive", READ, _ARCHIVE)
async def archive(web: DoorContext, ask: DoorRequest) -> Response:
    """The archive of an account: all its entries and their content. Another node imports it. One of more than 64 MiB is
    for its account and for a platform."""
    only(ask.params)
    who, account = await reading(web, ask), ask.path["account"]
    file, over = await archive_of(web, ask, account, whole=is_platform(ask.token) or who == account)
    return FileAnswer(file, over, _RAW | {"cache-control": "no-store"})
