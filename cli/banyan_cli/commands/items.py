"""Items of any collection: what a platform says that has no command of its own, such as a poll."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
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
Who = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help="An account's id or its beginning, or a name.", autocompletion=completion.accounts
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        "--as", help="Which account hosted here acts; yours when left out.", autocompletion=completion.accounts
    ),
]


@_item.command("collections")
def collections(s: Session) -> None:
    """The collections that this node knows, and their fields."""
    s.out.answers(s.call("collections")["collections"], _show_collections, "No collections are known here.")


@_item.command("list")
def listing(
    s: Session,
    account: Who,
    collection: Name,
    prefix: Annotated[str, typer.Option(help="Only those whose key and element begin so.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 100,
    after: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
) -> None:
    """What an account shows of a collection, by key."""
    whom = refs.account(s, account)
    page = s.call("items.list", account=whom, collection=collection, prefix=prefix, limit=limit, after=after)
    none = "Nothing here." if prefix or after else f"{account} shows nothing of {collection} here."
    s.out.answers(page["items"], _show_items, none)
    if page["after"]:
        same = f" --prefix {prefix}" if prefix else ""
        s.out.note(f"More: `banyan item list {account} {collection}{same} --limit {limit} --after {page['after']}`")


@_item.command("get")
def get(s: Session, account: Who, collection: Name, key: Key, element: Element = None) -> None:
    """One item of an account."""
    whom = refs.account(s, account)
    answer = s.call("items.get", account=whom, collection=collection, key=key, element=element)
    s.out.answer(answer, lambda console, row: _show_items(console, [row]))


@_item.command("put")
def put(
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


@_item.command("delete")
def delete(s: Session, collection: Name, key: Key, element: Element = None, by: By = None) -> None:
    """Delete an item, for good unless it is an element of a set; of a set without ELEMENT all of them."""
    answer = s.call("items.delete", collection=collection, key=key, element=element, by=by)
    s.out.done(answer, f"Deleted: {_named(answer)}.")


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


def _show_collections(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.text_tables import table

    made = table("collection", "merge", "fields")
    for row in rows:
        fields = [f"{f['name']}: {f['holds']}{' or nothing' if f['optional'] else ''}" for f in row["fields"]]
        made.add_row(Text(plain(row["name"])), row["merge"], Text(", ".join(fields) or "-"))
    console.print(made)


def _show_items(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    for row in rows:
        console.print(Text(" ".join(filter(None, (row["key"], row["element"]))), "bold"), soft_wrap=True)
        for name, value in row["content"].items():
            if value is None:
                continue
            said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            console.print(Text.assemble((f"  {plain(name)}: ", "dim"), plain(said, lines=True)), soft_wrap=True)
