"""Items of any collection: what a platform says that has no command of its own, such as a poll."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli.command_session import Session
from banyan_cli.declare import Fields, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import By, Who
from banyan_cli.show.tables import Row, columns, styled
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_item = root.group("item", "Items of any collection, such as polls.")
AS_TYPED = ("a text", "an account", "a key", "a post")
"""Fields whose value is taken as it stands on the command line; any other is JSON."""

Name = Annotated[str, typer.Argument(metavar="COLLECTION", help="Its name, as `banyan item collections` lists it.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The item's key, 32 digits, as `banyan item list` shows it.")]
Element = Annotated[
    str | None, typer.Argument(metavar="ELEMENT", help="Of a set: the element, as `banyan item list` shows it.")
]


def _fields(row: Row) -> str:
    fields = (f"{f['name']}: {f['holds']}{' or nothing' if f['optional'] else ''}" for f in row["fields"])
    return ", ".join(fields) or "-"


_COLLECTIONS = columns(("collection", "name"), ("merge", "merge"), ("fields", _fields))


def _show_items(console: Console, rows: list[Row]) -> None:
    for row in rows:
        console.print(styled((" ".join(filter(None, (row["key"], row["element"]))), "bold")), soft_wrap=True)
        for name, value in row["content"].items():
            if value is not None:
                said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                console.print(styled((f"  {plain(name)}: ", "dim"), plain(said, lines=True)), soft_wrap=True)


@_item.rows("collections", _COLLECTIONS, "No collections are known here.", field="collections")
def item_collections() -> None:
    """The collections that this node knows, and their fields."""


def _nothing(page: Fields) -> str:
    typed = page["typed"]
    whole = not (typed["prefix"] or typed["after"])
    return f"{typed['account']} shows nothing of {typed['collection']} here." if whole else "Nothing here."


def _again(page: Fields) -> str:
    typed = page["typed"]
    same = f" --prefix {typed['prefix']}" if typed["prefix"] else ""
    return f"banyan item list {typed['account']} {typed['collection']}{same} --limit {typed['limit']}"


@_item.rows("items.list", _show_items, _nothing, field="items", page=100, more=_again)
def item_list(
    account: Who,
    collection: Name,
    prefix: Annotated[str, typer.Option(help="Only those whose key and element begin so.")] = "",
) -> None:
    """What an account shows of a collection, by key."""


@_item.value("items.get", lambda console, row: _show_items(console, [row]))
def item_get(account: Who, collection: Name, key: Key, element: Element = None) -> None:
    """One item of an account."""


def _fields_of(s: Session, collection: str) -> dict[str, str]:
    """What each field holds. Of a collection that is not known the node says so when it is written."""
    rows = [row for row in s.call("collections")["collections"] if row["name"] == collection]
    return {field["name"]: field["holds"] for row in rows for field in row["fields"]}


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _named(answer: dict[str, Any]) -> str:
    element = f" {answer['element']}" if answer["element"] else ""
    return f"{answer['collection']} {answer['key']}{element}"


@_item.command()
def item_put(
    s: Session,
    collection: Name,
    fields: Annotated[
        list[str],
        typer.Argument(metavar="FIELD=VALUE...", help="Such as question='Lunch?' options='[\"phở\", \"bún\"]'."),
    ],
    key: Annotated[str | None, typer.Option(help="Which item: 32 digits; a new one when left out.")] = None,
    element: Annotated[str | None, typer.Option(help="Of a set: which element; else by its fields.")] = None,
    by: By = None,
) -> None:
    """Write an item, new or over what it says. Texts, accounts, keys and posts are taken as typed, all else as JSON."""
    holds = _fields_of(s, collection)
    given = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"'{field}' is not FIELD=VALUE; write, for example, question='Lunch?'.")
        given[name.strip()] = value if holds.get(name.strip()) in AS_TYPED else _value(value)
    answer = s.call("items.put", collection=collection, fields=given, key=key, element=element, by=by)
    s.out.done(answer, f"Written: {_named(answer)}.")


@_item.act("items.delete")
def item_delete(answer: Fields, collection: Name, key: Key, element: Element = None, by: By = None) -> str:
    """Delete an item, for good unless it is an element of a set; of a set without ELEMENT all of them."""
    return f"Deleted: {_named(answer)}."
