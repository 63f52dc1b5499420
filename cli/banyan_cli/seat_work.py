"""What commands of an alliance share: the seat, which one command has alone, the charter as it stands for it, what is
asked before it signs, and where that goes. Keys stay in a file of their own."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.show.tables import Row, count

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_charter.acts import Act, Proposal
    from banyan_charter.ledger import Ledger
    from banyan_crdt.ids import AccountId
    from banyan_node.alliance.seat_file import SeatFile

COMMANDS = root.group("alliance", "An alliance of platforms that nobody owns: found it, join it, vote.")
OFFERED = 500
"""Acts that are given to the node in one call."""
SHORT = 16
"""Digits of a content or a charter that are shown."""
SeatPath = Annotated[
    Path | None,
    typer.Option("--seat", help="The file with the seat's keys; `alliance/seat` in the home when left out."),
]
SparePath = Annotated[
    Path | None, typer.Option("--spare", help="The file with the spare key; beside the seat when left out.")
]
In = Annotated[
    list[Path] | None, typer.Option("--in", help="A file to work on in place of what the node has. May be repeated.")
]
OutFile = Annotated[Path | None, typer.Option("--out", help="Where to write the result, in place of the node.")]
Sign = Annotated[bool, typer.Option("--yes", help="Sign without being asked; you have read what it changes.")]


def stands_sentence(value: Row) -> str:
    if value["epoch"] is None:
        return f"{value['name']} is not founded yet: {', '.join(value['missing'])} did not sign."
    return f"Epoch {value['epoch']} of {value['name']} stands: {count(value['members'], 'member')}."


def seat_path(s: Session, seat: Path | None) -> Path:
    return (seat or s.home.path / "alliance" / "seat").absolute()


def spare_path(path: Path, spare: Path | None) -> Path:
    return (spare or path.with_name(f"{path.name}.spare")).absolute()


def realm_of(s: Session) -> Any:
    from banyan_crdt.realm import REALMS

    return REALMS[s.settings.config.node.realm]


def new_seat(
    s: Session, path: Path, spare: Path | None, realm: Any, asked: tuple[str, str, bool, str | None], since: int
) -> SeatFile:
    """asked: domain, kind, whether it has a vote, account."""
    from banyan_charter.ballots import Promise
    from banyan_charter.values import Kind, domain_of
    from banyan_node.alliance.seat_file import SeatFile, new_keys

    domain, kind, voting, account = asked
    name, of, at = domain_of(domain.lower().encode()), Kind(kind_number(kind)), spare_path(path, spare)
    seat, keys, _ = new_keys(realm, account_of(s, account), name, of, voting, since, at)
    s.out.note(f"The seat's keys are in {path}, its spare key in {at}: keep that one elsewhere, off this machine.")
    return SeatFile(path, realm, b"", seat, keys, Promise(0))


def kind_number(text: str) -> int:
    from banyan_node.api.alliance_rows import KINDS

    if text not in KINDS:
        raise BadInput(f"'{text}' is no kind of member; there are {', '.join(KINDS)}.")
    return KINDS.index(text)


def account_of(s: Session, account: str | None) -> AccountId:
    """An id is taken as it is, so that a seat can be made on a machine without a node."""
    from banyan_crdt.ids import account_from_text

    if account is None or not account.startswith("did:"):
        shown = s.call("account.show", account=account) if account else s.call("account.show")
        if not shown["hosted"]:
            raise BadInput(f"'{account}' is not hosted here; a member's account is one that its own node hosts.")
        account = shown["account"]
    return account_from_text(str(account))


def member_id(ledger: Ledger, text: str) -> AccountId:
    from banyan_node.api.alliance_rows import member_of

    return member_of(ledger, text).member


def changes_of(ledger: Ledger, *options: Iterable[str]) -> list[Proposal]:
    """One change a member, of all options that name it."""
    from banyan_charter.acts import Change
    from banyan_charter.values import Kind, domain_of
    from banyan_node.api.alliance_rows import member_of

    found = dict[bytes, Change]()
    for option, texts in zip(("domain", "kind", "vote", "no-vote"), options, strict=True):
        for text in texts:
            name, equals, value = text.partition("=")
            if bool(equals) != (option in ("domain", "kind")):
                raise BadInput(f"--{option} takes {'MEMBER=VALUE' if not equals else 'a member alone'}, not '{text}'.")
            was = member_of(ledger, name)
            now = found.get(was.member, Change(was.member, was.domain, was.kind, was.voting))
            new: dict[str, Any] = {"voting": option == "vote"}
            if equals:
                new = {option: domain_of(value.encode()) if option == "domain" else Kind(kind_number(value))}
            found[was.member] = now._replace(**new)
    return list(found.values())


def parameters_of(path: Path | None) -> Any:
    from banyan_charter.values import Parameters
    from banyan_node.alliance.parameters_file import parameters_from

    return parameters_from(path) if path else Parameters()


def read_ledger(s: Session, take: list[Path] | None) -> Ledger:
    """Of these files, else of the node; each signature is checked again."""
    from banyan_node.alliance.papers import add_acts, ledger_of

    if take:
        return ledger_of(take)
    raws, after = list[bytes](), 0
    while after is not None:
        page = s.call("alliance.acts", after=after)
        raws += map(b64decode, page["acts"])
        after = page["after"]
    ledger = add_acts(None, realm_of(s), raws[0], raws[1:])
    ledger.settle()
    return ledger


def every_act(ledger: Ledger) -> list[Act]:
    return [act for number in range(len(ledger.epochs) + 1) for act in ledger.acts(number)]


def offer(s: Session, acts: list[Act]) -> None:
    """Gives acts to the node, and says what it does not take now."""
    from banyan_charter.acts import encode_act

    for at in range(0, len(acts), OFFERED):
        texts = [b64encode(encode_act(act)).decode() for act in acts[at : at + OFFERED]]
        for why in s.call("alliance.offer", acts=texts)["refused"]:
            s.out.note(f"An act was not taken: {why}.")


@contextmanager
def at_work(
    s: Session, seat: Path | None, take: list[Path] | None, out: Path | None
) -> Iterator[tuple[SeatFile, Ledger]]:
    """The seat, which this command has alone, and the charter as it stands."""
    from banyan_node.alliance.seat_file import opened

    path = seat_path(s, seat)
    if not path.exists():
        raise BadInput(f"There is no seat in {path}; name its file with --seat, or make one with `join` or `found`.")
    if take:
        demand_out(out)
    with opened(path) as mine:
        ledger = read_ledger(s, take)
        mine.settle(ledger)
        yield mine, ledger


def demand_out(out: Path | None) -> None:
    if out is None:
        raise BadInput("With --in, say with --out where to write what you sign.")


def ask(s: Session, title: str, said: list[str], yes: bool) -> None:
    """Shows what is to be signed, and asks. Raises BadInput where nobody can be asked."""
    for line in [f"{title}:", *(f"  {line}" for line in said)]:
        s.out.note(line)
    if yes:
        return
    if s.out.json or not sys.stdin.isatty():
        raise BadInput("Nothing was signed: read what it changes, then say --yes.")
    typer.confirm("Sign it?", abort=True, err=True)


def hand_on(s: Session, ledger: Ledger, mine: SeatFile, signed: list[Act], out: Path | None) -> None:
    """Gives away what was signed, and says where that leads."""
    from banyan_node.alliance.papers import acts_text
    from banyan_node.api.alliance_rows import next_steps, status_of

    for act in signed:
        ledger.add(act)
    ledger.settle()
    mine.settle(ledger)
    if out is not None:
        write_file(out, acts_text(ledger, every_act(ledger)))
    else:
        offer(s, signed)
    value = {**plain(status_of(ledger)), "next": next_steps(ledger, mine), "file": str(out) if out else None}
    said = [stands_sentence(value), *(open_sentence(row) for row in value["contents"])]
    s.out.done({"state": "signed", **value}, " ".join(said))
    if out is not None:
        s.out.note(f"All acts are in {out}: give it to those whose signatures are missing.")


def open_sentence(row: Row) -> str:
    what = "is locked, and waits for commits of" if row["locked"] else "waits for votes of"
    return f"{row['id'][:SHORT]} by {row['author']} {what} {', '.join(row['missing']) or 'nobody'}."


def seat_rows(seats: Iterable[Any]) -> list[Row]:
    from banyan_node.api.alliance_rows import seat_row

    return [plain(seat_row(one)) for one in seats]


def plain(row: Any) -> Row:
    import msgspec

    found: Row = msgspec.to_builtins(row)
    return found


def text_of(given: str) -> str:
    return Path(given).read_text("ascii", "replace") if len(given) < 200 and Path(given).is_file() else given


def head_of(path: Path) -> str:
    return path.read_text("ascii", "replace")[:64] if path.is_file() else ""


def write_file(path: Path, text: str) -> None:
    from banyan_node.home.folder import write_private

    try:
        write_private(path.absolute(), text.encode() + b"\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error


def vote_words(row: Row) -> str:
    return ("with a vote" if row["awake"] else "asleep") if row["voting"] else "without a vote"


def show_lines(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
