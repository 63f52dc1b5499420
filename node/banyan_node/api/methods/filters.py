"""Filters: posts with some words are hidden from an account, or shown to it behind a warning.

They are sealed, as all that an account keeps to itself (private.py).
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from banyan_crdt.ids import CellKey
from banyan_node.api.declare import CommitView, MethodTable, NoResult, Request, Response
from banyan_node.api.json_types import KeyHex, Milliseconds, Own, ThingRef, key_hex, key_of
from banyan_node.api.methods.post_rows import now_ms
from banyan_node.api.methods.private import OneReader, opened, say
from banyan_node.context import Context
from banyan_node.hosting import hosted, sealed_writer
from banyan_node.operator_errors import CallError
from banyan_reading.visibility import FilterContext, lasts
from banyan_schema.private_kinds import Filter

METHODS = MethodTable()
TOGETHER = 100
"""The most filters that people see as one."""
Does = Literal["hide", "warn"]
Contexts = Annotated[list[FilterContext], Meta(max_length=len(get_args(FilterContext)))]


class FilterSet(Request, frozen=True, forbid_unknown_fields=True):
    """words: a word, or several one after another, whatever their case. action: hide them, or show them behind a
    warning. until: when it ends; default: never. id: which one is changed; left out, a new one is made."""

    words: Annotated[str, Meta(min_length=1)]
    action: Does = "hide"
    until: Milliseconds | None = None
    id: ThingRef | None = None
    by: Own = None


class FilterWords(Request, frozen=True, forbid_unknown_fields=True):
    """words: as in `filter.set`. id: of the filter that has them; left out, a new one is made. whole: whether they are
    whole words, or may be parts of words."""

    words: Annotated[str, Meta(min_length=1)]
    id: ThingRef | None = None
    whole: bool = True


class FiltersSet(Request, frozen=True, forbid_unknown_fields=True):
    """title: what people call them. words: one filter for each; those that there were and are not named are deleted.
    action, until: of each. contexts: where they count; null: everywhere. of: which ones are changed; left out, new ones
    are made."""

    title: Annotated[str, Meta(min_length=1)]
    words: Annotated[list[FilterWords], Meta(max_length=TOGETHER)]
    action: Does = "hide"
    until: Milliseconds | None = None
    contexts: Contexts | None = None
    of: ThingRef | None = None
    by: Own = None


class OneFilter(Request, frozen=True, forbid_unknown_fields=True):
    id: ThingRef
    by: Own = None


class FilterRow(Response, frozen=True):
    """of: those with the same are shown to people as one, with this title; the words, if there is none. contexts: where
    it counts; null: everywhere. whole: see `filters.set`."""

    id: KeyHex
    words: str
    action: str
    until: Milliseconds | None
    title: str
    of: KeyHex
    contexts: list[str] | None
    whole: bool


class Filters(Response, frozen=True):
    filters: list[FilterRow]


@METHODS.write("filter.set", "not_found", "refused")
def filter_set(ctx: Context, ask: FilterSet, now: float) -> FilterRow:
    """Hides posts with some words, or shows them behind a warning."""
    account = hosted.account_of(ctx, ask.by)
    words, before = _said(ask.words), None
    if ask.id is not None:
        before = sealed_writer.of(ctx, account).get(Filter(key_of(ask.id), "", "hide"))
        if before is None:
            raise CallError("not_found", f"There is no filter {ask.id}.", 404)
    if before is None:
        wanted = Filter(ctx.replica.author.random(16), words, ask.action, ask.until)
    else:
        wanted = before._replace(words=words, action=ask.action, until_ms=ask.until)
    say(ctx, account, sealed_writer.drafts(ctx, account, [wanted], now), now)
    return _row(wanted)


@METHODS.write("filters.set", "not_found", "refused")
def filters_set(ctx: Context, ask: FiltersSet, now: float) -> Filters:
    """Sets filters that people see as one, all or none."""
    account = hosted.account_of(ctx, ask.by)
    of = ctx.replica.author.random(16) if ask.of is None else bytes(key_of(ask.of))
    held = {one.id: one for one in sealed_writer.of(ctx, account).all(Filter) if (one.of or one.id) == of}
    if ask.of is not None and not held:
        raise CallError("not_found", f"There is no filter {ask.of}.", 404)
    if not ask.title.strip():
        raise CallError("bad_request", "The title of the filters is empty.")
    wanted: dict[bytes, Filter] = {}
    for one in ask.words:
        name = ctx.replica.author.random(16) if one.id is None else bytes(key_of(one.id))
        if one.id is not None and name not in held:
            raise CallError("not_found", f"There is no filter {one.id} among these.", 404)
        where = None if ask.contexts is None else " ".join(dict.fromkeys(ask.contexts))
        matches = None if one.whole else "part"
        wanted[name] = Filter(name, _said(one.words), ask.action, ask.until, ask.title.strip(), of, where, matches)
    changed = [one for name, one in wanted.items() if held.get(name) != one]
    gone = [one for name, one in held.items() if name not in wanted]
    drafts = sealed_writer.drafts(ctx, account, changed, now) if changed else []
    say(ctx, account, [*drafts, *sealed_writer.taking_back(ctx, account, gone)], now)
    return Filters([*map(_row, wanted.values())])


@METHODS.write("filter.delete", "not_found", "refused")
def filter_delete(ctx: Context, ask: OneFilter, now: float) -> NoResult:
    """Deletes a filter."""
    account = hosted.account_of(ctx, ask.by)
    drafts = sealed_writer.taking_back(ctx, account, [Filter(key_of(ask.id), "", "hide")])
    if not drafts:
        raise CallError("not_found", f"There is no filter {ask.id}.", 404)
    return say(ctx, account, drafts, now)


@METHODS.read("filters", "not_found", "refused")
def filters(at: CommitView, ask: OneReader) -> Filters:
    """The filters of an account, by their words."""
    every = opened(at, hosted.account_of(at, ask.by)).all(Filter)
    found = [one for one in every if lasts(one.until_ms, now_ms())]
    return Filters([_row(one) for one in sorted(found, key=lambda one: (one.words, one.id))])


def _said(words: str) -> str:
    if not words.strip():
        raise CallError("bad_request", "The words of the filter are empty.")
    return words


def _row(one: Filter) -> FilterRow:
    name, of = CellKey(one.id), CellKey(one.of or one.id)
    where, title = None if one.contexts is None else one.contexts.split(), one.title or one.words
    return FilterRow(
        key_hex(name), one.words, one.action, one.until_ms, title, key_hex(of), where, one.matches != "part"
    )
