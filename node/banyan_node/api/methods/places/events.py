"""Events: what takes place when and where, who comes, and what people do with them."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from banyan_crdt.ids import AccountId, account_to_text
from banyan_crdt.ops import Add, Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Response, UndoRequest
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    InGroup,
    PostRows,
    account_name,
    now_ms,
    reader_of,
    visibility_of,
)
from banyan_node.api.methods.posts.post_writes import add_or_undo
from banyan_node.context import Context
from banyan_node.hosting import groups, hosted
from banyan_node.hosting.entry_writer import append, new_target
from banyan_node.hosting.visibility import shown
from banyan_node.operator_errors import bad_request, forbidden
from banyan_reading import events as reading
from banyan_reading import relations
from banyan_reading.answers import CURSOR_BYTES
from banyan_reading.queries import Queries
from banyan_schema import dates
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft, undo
from banyan_schema.social import event as schema

METHODS = MethodTable()
OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})
"""Files beside those of IANA's zones, which say another time on each machine."""
MOST = 200
"""The most events of a page."""
BACK_MS = 31 * 86_400_000
"""Events that began so long ago and are not over are among those to come."""
Zone = Annotated[str, Meta(description="A name of IANA's list, such as Asia/Ho_Chi_Minh: in its clock people read it.")]
Degrees = Annotated[int, Meta(description="In 1e-7 degrees; north and east are positive.")]


class EventCreate(ActorRequest):
    """begins, ends: milliseconds since 1970, negative before. latitude, longitude: both or none. group: in which it
    takes place; only members may."""

    title: str
    begins: js.Moment
    zone: Zone
    text: str = ""
    ends: js.Moment | None = None
    place: str | None = None
    latitude: Annotated[int, Meta(ge=-schema.LATITUDE, le=schema.LATITUDE)] | None = None
    longitude: Annotated[int, Meta(ge=-schema.LONGITUDE, le=schema.LONGITUDE)] | None = None
    group: js.GroupRef | None = None


class EventSet(ActorRequest):
    """What is left out does not change; an empty place takes it away. The group stays."""

    event: js.EventRef
    title: str | None = None
    begins: js.Moment | None = None
    zone: Zone | None = None
    text: str | None = None
    ends: js.Moment | None = None
    place: str | None = None
    latitude: Annotated[int, Meta(ge=-schema.LATITUDE, le=schema.LATITUDE)] | None = None
    longitude: Annotated[int, Meta(ge=-schema.LONGITUDE, le=schema.LONGITUDE)] | None = None


class EventRequest(ReaderRequest):
    """as: the account that reads, or that deletes its event."""

    event: js.EventRef


class AnswerRequest(UndoRequest):
    """answer: in the place of one that was given before."""

    event: js.EventRef
    answer: schema.Answer = "yes"


class EventInviteRequest(UndoRequest):
    event: js.EventRef
    account: js.AccountRef


class EventsRequest(ReaderRequest):
    """account: only of it. group: only of this group. answered: those to which the reader answered yes or maybe.
    Default: of the account that reads and those it follows. since: those that begin then or later; default: that are
    not over, and began at most 31 days ago."""

    account: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    group: js.GroupRef | None = None
    answered: bool = False
    since: js.Moment | None = None
    after: Annotated[str | None, Meta(title="a place among events", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class RepliesRequest(ReaderRequest):
    event: js.EventRef
    answer: schema.Answer = "yes"
    after: Annotated[str | None, Meta(title="a place among accounts", description="`after` of the page before.")] = None
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100


class EventRow(Response):
    """answers: how many accounts gave each. mine: the reader's own. ends: null if it says none, or one before it
    begins."""

    uri: js.PostUri
    account: AccountName
    title: str
    text: str
    begins: js.Moment
    ends: js.Moment | None
    zone: str
    place: str | None
    latitude: Degrees | None
    longitude: Degrees | None
    group: InGroup | None
    answers: dict[schema.Answer, int]
    mine: schema.Answer | None


class EventsPage(Response):
    """The first to begin first. after: give it to get the next page; null on the last page. A page can be short and
    have one behind it."""

    events: list[EventRow]
    after: js.EventPlace | None


class Repliers(Response):
    """after: give it to get the next page; null on the last page."""

    accounts: list[AccountName]
    after: js.Did | None


class EventWritten(Response):
    uri: js.PostUri
    title: str
    entry: js.EntryHex


def _held(q: Queries, text: str) -> reading.EventView:
    target = js.target_of(text, "an event")
    return shown(q, reading.event_of(q, target), schema.EVENT, target, "event", "deleted by its account")


def _row(q: Queries, rows: PostRows, view: reading.EventView, mine: schema.Answer | None) -> EventRow:
    said = view.event
    here = said.latitude is not None and said.longitude is not None
    return EventRow(
        uri=js.uri(view.target),
        account=AccountName(js.did(view.target.account), rows.name(view.target.account)),
        title=said.title,
        text=said.text,
        begins=said.begins_ms,
        ends=said.ends_ms if said.ends_ms is not None and said.ends_ms >= said.begins_ms else None,
        zone=said.zone,
        place=said.place,
        latitude=said.latitude if here else None,
        longitude=said.longitude if here else None,
        group=None if said.group is None else rows.group(said.group),
        answers=reading.answers(q, view.target),
        mine=mine,
    )


@METHODS.read("event.list", "not_found", "refused")
def listing(at: CommitView, ask: EventsRequest) -> EventsPage:
    """Events by their beginning, without those of accounts that the reading account blocks or mutes."""
    q, reader = at.queries(), reader_of(at, ask.by)
    visibility, now, mine = visibility_of(at, reader), now_ms(), reading.answered(q, reader) if reader else {}
    start = reading.start_of(now - BACK_MS if ask.since is None else ask.since)
    after = js.place_of(ask.after, CURSOR_BYTES, "among events") or start

    def wanted(view: reading.EventView) -> bool:
        return visibility.sees(view.target.account) and (ask.since is not None or view.event.over_ms >= now)

    found = (
        (js.event_place(cursor), view if view is not None and wanted(view) else None)
        for cursor, view in _of(at, ask, reader, after, mine)
    )
    page, more = js.page_of(found, ask.limit)
    rows = PostRows(q, at.blobs, visibility)
    return EventsPage([_row(q, rows, view, mine.get(view.target)) for view in page], more)


def _of(
    at: CommitView, ask: EventsRequest, reader: AccountId | None, after: bytes, mine: dict[Target, schema.Answer]
) -> Iterator[tuple[bytes, reading.EventView | None]]:
    if sum((ask.account is not None, ask.group is not None, ask.answered)) > 1:
        raise bad_request("'account', 'group' and 'answered' exclude one another: give one.")
    q = at.queries()
    if ask.group is not None:
        return reading.of_group(q, groups.held(q, js.target_of(ask.group, "a group")), after)
    if ask.answered:
        held = [reading.event_of(q, target) for target, answer in mine.items() if answer != "no"]
        found = sorted(
            [view for view in held if view is not None and view.cursor > after], key=lambda view: view.cursor
        )
        return ((view.cursor, view) for view in found)
    if ask.account is not None:
        accounts = [hosted.account_of(at, ask.account)]
    else:
        own = reader or hosted.my_account(at)
        accounts = list(chain((own,), relations.followed(q, own, q.follows(own))))
    return ((view.cursor, view) for view in reading.of_accounts(q, accounts, after))


@METHODS.read("event.show", "not_found", "refused")
def show(at: CommitView, ask: EventRequest) -> EventRow:
    """An event, how many come, and what the reader answered."""
    q, reader = at.queries(), reader_of(at, ask.by)
    view = _held(q, ask.event)
    mine = reading.answered(q, reader).get(view.target) if reader else None
    return _row(q, PostRows(q, at.blobs, visibility_of(at, reader)), view, mine)


@METHODS.read("event.replies", "not_found", "refused")
def replies(at: CommitView, ask: RepliesRequest) -> Repliers:
    """Who gave an answer, without those whom the event's account or the reader blocks."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    view, after = _held(q, ask.event), hosted.account_of(at, ask.after) if ask.after else None
    blocked, found = {*q.blocks(view.target.account)}, reading.who_answered(q, view.target, ask.answer, after)
    rows = (
        (js.did(one), account_name(q, one) if visibility.sees(one) and one not in blocked else None) for one in found
    )
    return Repliers(*js.page_of(rows, ask.limit))


def _checked(event: schema.SocialEvent) -> schema.SocialEvent:
    if not event.title.strip():
        raise bad_request("The title of the event is empty.")
    if event.ends_ms is not None and event.ends_ms < event.begins_ms:
        raise bad_request("The event ends before it begins.")
    if (event.latitude is None) != (event.longitude is None):
        raise bad_request("A latitude needs a longitude, and the other way: give both or none.")
    try:
        if event.zone in OF_THE_MACHINE:
            raise KeyError
        dates.moment(0, ZoneInfo(event.zone))
    except (KeyError, ValueError, OSError):
        raise bad_request(
            f"'{event.zone[:60]}' is no time zone; give a name of IANA's list, such as Asia/Ho_Chi_Minh."
        ) from None
    return event


@METHODS.write("event.create", "not_found", "refused")
def create(ctx: Context, ask: EventCreate, now: float) -> EventWritten:
    """Announces an event."""
    account = hosted.account_of(ctx, ask.by)
    group = None if ask.group is None else groups.open_to(ctx, account, js.target_of(ask.group, "a group")).target
    where = ((ask.place or "").strip() or None, ask.latitude, ask.longitude)
    event = _checked(schema.SocialEvent(ask.title.strip(), ask.text, ask.begins, ask.ends, ask.zone, *where, group))
    target = new_target(ctx, account, now)
    entry = append(ctx, account, [schema.write_event(target.key, event)], now)
    return EventWritten(js.uri(target), event.title, js.entry_hex(entry))


def _own(ctx: Context, account: AccountId, text: str, does: str) -> reading.EventView:
    view = _held(ctx.queries(), text)
    if view.target.account != account:
        raise forbidden(f"Only the account that announced '{view.event.title}' {does}.")
    return view


@METHODS.write("event.set", "not_found", "refused")
def change(ctx: Context, ask: EventSet, now: float) -> EventWritten:
    """Changes an event."""
    account = hosted.account_of(ctx, ask.by)
    view = _own(ctx, account, ask.event, "changes it")
    was = view.event
    both = ask.latitude is not None or ask.longitude is not None
    event = schema.SocialEvent(
        was.title if ask.title is None else ask.title.strip(),
        was.text if ask.text is None else ask.text,
        was.begins_ms if ask.begins is None else ask.begins,
        was.ends_ms if ask.ends is None else ask.ends,
        ask.zone or was.zone,
        was.place if ask.place is None else ask.place.strip() or None,
        ask.latitude if both else was.latitude,
        ask.longitude if both else was.longitude,
        was.group,
    )
    live = ctx.queries().live(account, Put(schema.EVENT, view.target.key, (), None))
    entry = append(ctx, account, [schema.write_event(view.target.key, _checked(event), live)], now)
    return EventWritten(js.uri(view.target), event.title, js.entry_hex(entry))


@METHODS.write("event.delete", "not_found", "refused")
def delete(ctx: Context, ask: EventRequest, now: float) -> EventWritten:
    """Calls an event off, for good."""
    account = hosted.account_of(ctx, ask.by)
    view = _own(ctx, account, ask.event, "calls it off")
    entry = append(ctx, account, [schema.delete_event(view.target.key)], now)
    return EventWritten(js.uri(view.target), view.event.title, js.entry_hex(entry))


@METHODS.write("event.reply", "not_found", "refused")
def answering(ctx: Context, ask: AnswerRequest, now: float) -> EventWritten:
    """Answers to an event: yes, no or maybe."""
    account, q, target = hosted.account_of(ctx, ask.by), ctx.queries(), js.target_of(ask.event, "an event")
    draft = schema.answer_event(hosted.salt_of(ctx, account), schema.EventReply(target, ask.answer))
    if ask.undo:  # also one that was called off
        entry = add_or_undo(ctx, "event.reply", account, draft, now, True)
        return EventWritten(js.uri(target), "", js.entry_hex(entry))
    view, op = _held(q, ask.event), draft.op
    assert isinstance(op, Add)
    live = q.live(account, op)
    if live and reading.answered(q, account).get(target) == ask.answer:
        return EventWritten(js.uri(target), view.event.title, js.entry_hex(live[-1].entry))
    before = [undo(schema.REPLY, live)] if live else list[OpDraft]()
    return EventWritten(js.uri(target), view.event.title, js.entry_hex(append(ctx, account, [*before, draft], now)))


@METHODS.write("event.invite", "not_found", "refused")
def inviting(ctx: Context, ask: EventInviteRequest, now: float) -> EventWritten:
    """Invites somebody to an event of the account: it hears of that."""
    account, whom = hosted.account_of(ctx, ask.by), hosted.account_of(ctx, ask.account)
    view = _own(ctx, account, ask.event, "invites to it")
    if whom == account:
        raise bad_request(f"{account_to_text(whom)} announced the event: it need not be invited.")
    draft = schema.invite_to_event(hosted.salt_of(ctx, account), schema.EventInvite(view.target, whom))
    entry = add_or_undo(ctx, "event.invite", account, draft, now, ask.undo)
    return EventWritten(js.uri(view.target), view.event.title, js.entry_hex(entry))
