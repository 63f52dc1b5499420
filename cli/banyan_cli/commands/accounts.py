"""Accounts: who may write in them, and what to do when a key or a device is lost."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import paper, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import argument, some_account, some_writer
from banyan_cli.show.tables import columns, count, named

if TYPE_CHECKING:
    from rich.console import Console

account_commands = root.group("account", "Accounts: grant, pin, cut, drop, rotate, recover, close; hand over and take.")

Account = Annotated[
    str | None, typer.Option(help="An account hosted here; yours when left out.", autocompletion=some_account)
]
Writer = Annotated[str, typer.Argument(help="A writer's key, 64 hexadecimal digits; `banyan id` shows a node's.")]
Granted = Annotated[str, argument("A writer's key or its beginning, as in `account show`.", some_writer, "WRITER")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Incomplete = Annotated[
    bool, typer.Option("--incomplete", help="Cut although a peer claims more of the account than is here.")
]
RECOVERY = 1
"""The slot of the recovery key."""
KEY = 64
"""Digits of a writer's key."""


@account_commands.command("create")
def create(
    s: Session,
    name: Annotated[str, typer.Argument(help="What the account is called.")],
    recovery: Annotated[
        str | None, typer.Option(help="A commitment of `banyan keys words`; else that of this node's own account.")
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="Make this node's own account, if it has none, instead of hosting one.")
    ] = False,
) -> None:
    """Host an account here; one that exists under that name is left as it is."""
    recovery = None if recovery is None else paper.checked_commitment(recovery)
    if own and (has := s.call("id")["account"]) is not None:
        raise BadInput(f"This node has an account of its own, {has}; leave --own away to host another.")
    answer = s.call("account.create", name=name, hosted=not own, recovery=recovery)
    refs.note(s.home, accounts=[answer])
    s.out.done(answer, f"{'Made' if answer['created'] else 'There already'}: {answer['name']}, {answer['account']}")


_ACCOUNTS = columns(("name", named), ("", lambda row: "own" if row["own"] else ""), ("account", "account"))


def _show_accounts(console: Console, rows: list[dict[str, Any]]) -> None:
    _ACCOUNTS(console, rows)
    console.print(count(len(rows), "account"), style="dim")


@account_commands.rows(
    "account.list",
    _show_accounts,
    "No accounts here yet: `banyan account create NAME` opens one.",
    field="accounts",
    seen="accounts",
    page=50,
    most=None,
    more="banyan account list --limit {typed[limit]}",
)
def account_list() -> None:
    """The accounts whose keys this node holds."""


@account_commands.command("show")
def show(
    s: Session,
    account: Annotated[str | None, argument("An account's id or name; yours when left out.", some_account)] = None,
) -> None:
    """Its keys, who may write in it, and where its logs stand."""
    from banyan_cli.show.status import account as shown

    value = s.call("account.show", account=which(s, account))
    s.out.answer(value, partial(shown, here=s.call("id")["writer"]))


@account_commands.command("grant")
def grant(
    s: Session,
    writer: Writer,
    account: Account = None,
    stratum: Annotated[int | None, typer.Option(min=0, help="Lower is stronger where two grants meet.")] = None,
    until: Annotated[str | None, typer.Option(help="The last day or moment, ISO 8601 (UTC).")] = None,
    coll: Annotated[list[str] | None, typer.Option(help="Only this collection; may be repeated.")] = None,
    yes: Sure = False,
) -> None:
    """Let a device or a platform write in the account."""
    s.sure = yes
    params = {"stratum": stratum, "until": None if until is None else until_ms(until), "colls": coll or None}
    key = _writer(s, writer)
    answer = s.call("account.grant", account=which(s, account), writer=key, **params)
    s.out.done(answer, f"Writer {key[:16]} may write now.")


@account_commands.command("pin")
def pin(
    s: Session,
    writer: Annotated[
        str | None, argument("A writer's key or its beginning; every writer if left out.", some_writer)
    ] = None,
    log: Annotated[int | None, typer.Option(min=1, help="Only this log of the writer.")] = None,
    account: Account = None,
    yes: Sure = False,
) -> None:
    """Sign where logs stand now, so that no later fork can undo what was written before."""
    s.sure = yes
    if log is not None and writer is None:
        raise BadInput("--log names a log of one writer; give the writer too.")
    who = which(s, account)
    writer = None if writer is None else granted(s.call("account.show", account=who), writer)
    answer = s.call("account.pin", account=who, writer=writer, log=log)
    forked = f"; {answer['forked']} forked, and pinned where that begins" if answer["forked"] else ""
    s.out.done(answer, f"{count(len(answer['pins']), 'log')} pinned{forked}.")


@account_commands.command("drop")
def drop(
    s: Session,
    writer: Granted,
    log: Annotated[int, typer.Argument(min=1, help="A log of that writer, as `account show` numbers them.")],
    account: Account = None,
    yes: Sure = False,
) -> None:
    """Take one log away with all that it says, deletions too: a copied home writes in a log of its own.

    The account's recovery key undoes it (`account recover --undo`); other nodes forget the log after 30 days.
    """
    who = which(s, account)
    value = s.call("account.show", account=who)
    key = granted(value, writer)
    confirm(s, f"Drop log {log} of writer {key[:16]}, with what it wrote and deleted? {_undoing(value)}", yes)
    answer = s.call("account.drop", account=who, writer=key, log=log)
    s.out.done(answer, f"Log {log} of writer {key[:16]} counts no longer.")
    _say_how_to_undo(s, who, answer["entry"])


@account_commands.command("rotate")
def rotate(
    s: Session,
    slot: Annotated[int | None, typer.Option(min=0, help="0 root, 1 recovery.")] = None,
    account: Account = None,
    words_file: paper.WordsFile = None,
    yes: Sure = False,
) -> None:
    """Replace a key by the next one that it committed to.

    With --slot 1 and --words-file a recovery key that was kept on this node moves to those words.
    """
    s.sure = yes
    who = which(s, account)
    key = s.call("account.show", account=who)["keys"][RECOVERY] if slot == RECOVERY else {"held": True}
    if words_file is not None and slot != RECOVERY:
        raise BadInput("Only a recovery key is made from words; say --slot 1 with --words-file.")
    if words_file is None and key["held"]:
        answer = s.call("account.rotate", account=who, slot=slot)
    else:
        answer = _rotate_by_words(s, who, key, paper.words_from(words_file, "The 24 recovery words of this account"))
    s.out.done(answer, f"The {_slot(answer['slot'])} key is at generation {answer['generation']} now.")


def _slot(number: int) -> str:
    return {0: "root", RECOVERY: "recovery"}.get(number, f"slot {number}")


def _rotate_by_words(s: Session, who: str, key: dict[str, Any], words: str) -> Any:
    from banyan_node.home.recovery import commitment, rotation
    from banyan_node.operator_errors import WrongWords

    following, first = key["next"], commitment(words)[:64]
    try:
        rotation(words, bytes.fromhex(following))
    except WrongWords:
        if not key["held"]:
            raise
        s.call("account.rotate", account=who, slot=RECOVERY, following=first)
        following = first
    seed, after = rotation(words, bytes.fromhex(following))
    return s.call("account.rotate", account=who, slot=RECOVERY, seed=seed.hex(), following=after.hex())


@account_commands.act("log.begin", "This node writes log {log} from now on (before: {before}).")
def account_new_log() -> None:
    """Begin another log for what this node writes: its clock was ahead, and the present log ends in the future."""


@account_commands.command("close")
def close(s: Session, account: Account = None, yes: Sure = False) -> None:
    """End the account: nobody can write in it, and nodes show nothing of it.

    The account's recovery key undoes it (`account recover --undo`); other nodes forget what it wrote after 30 days.
    """
    who = which(s, account)
    undoing = _undoing(s.call("account.show", account=who))
    confirm(s, f"Close the account? No node shows what it wrote then. {undoing}", yes)
    answer = s.call("account.close", account=who)
    from banyan_cli.commands.logins import log_out

    log_out(s, who)
    s.out.done(answer, "The account is closed.")
    _say_how_to_undo(s, who, answer["entry"])


def _undoing(value: dict[str, Any]) -> str:
    """Who can undo what takes posts away, and how long. value: the answer of `account.show`."""
    recovery = value["keys"][RECOVERY : RECOVERY + 1]
    if not recovery:
        return "It cannot be undone: the account has no recovery key."
    whose = "key, which is kept on this node, undoes" if recovery[0]["held"] else "words undo"
    return f"Only the account's recovery {whose} it; after 30 days other nodes have forgotten what it takes away."


def _say_how_to_undo(s: Session, account: str, entry: str) -> None:
    """Names the command that undoes this entry of the control log."""
    value = s.call("account.show", account=account)
    number = next((step["seq"] for step in value["path"] if step["entry"] == entry), None)
    if number is not None and len(value["keys"]) > RECOVERY:
        s.out.note(f"Within 30 days `banyan account recover --undo {number}` undoes it; its --help says what it needs.")


def which(s: Session, account: str | None) -> str:
    """The account meant; the node's own when none was named."""
    if account is not None:
        return refs.account(s, account)
    own: Any = s.call("id")["account"]
    if own is None:
        raise BadInput("This node has no account of its own yet; name the one you mean, by its name or id.")
    return str(own)


def granted(shown: dict[str, Any], text: str) -> str:
    """A writer of the account, by any beginning of its key that fits no other."""
    writers = sorted({g["writer"] for g in shown["grants"]} | {log["writer"] for log in shown["logs"] if log["log"]})
    return refs.one_of("writer", text, writers, "`banyan account show`")


def _writer(s: Session, text: str) -> str:
    """A writer that is to be let in: its whole key, for nothing here knows it yet; this node's by its beginning."""
    key = text.strip().lower()
    if len(key) == KEY and set(key) <= set("0123456789abcdef"):
        return key
    here = str(s.call("id")["writer"])
    if len(key) >= refs.LEAST and here.startswith(key):
        return here
    raise BadInput(
        f"'{text}' is no writer: a key that this node does not know yet has 64 hexadecimal digits; `banyan id` on the "
        "other device shows it."
    )


def until_ms(text: str, option: str = "--until") -> int:
    """Milliseconds since 1970. A day without a time lasts to its end."""
    try:
        with suppress(ValueError):
            return until_ms(f"{date.fromisoformat(text)}T23:59:59.999")
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{option} {text} is no date; write it like 2027-01-31 or 2027-01-31T12:00.") from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)


def confirm(s: Session, question: str, yes: bool) -> None:
    """Goes on if the answer is yes. Raises BadInput where nobody can answer."""
    s.sure = yes
    if yes:
        return
    if s.out.json or not sys.stdin.isatty():
        raise BadInput(f"{question} Say --yes.")
    typer.confirm(question, abort=True, err=True)
