"""What commands of an alliance share: the seat, which one command has alone, the charter as it stands for it, what is
asked before it signs, where that goes, and what is waited for. Keys stay in a file of their own."""

from __future__ import annotations

import inspect
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from banyan_cli import declare
from banyan_cli.command_session import Session
from banyan_cli.errors import BadInput, Failed
from banyan_cli.show.tables import Row, count
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.terminal_escape import plain as plain_text

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_charter.acts import Act, Admit
    from banyan_charter.ledger import ActLedger
    from banyan_crdt.ids import AccountId
    from banyan_crdt.realm import Realm
    from banyan_node.alliance.papers import Invitation
    from banyan_node.alliance.seat_file import SeatFile

F = TypeVar("F", bound=Callable[..., None])
Address = Annotated[str, typer.Option(help="Where your node is dialled; where it listens when left out.")]
COMMANDS = declare.root.group("alliance", "An alliance of platforms that nobody owns: found it, join it, vote.")
OFFERED = 500
"""Acts that are given to the node in one call."""
SHORT = 16
"""Digits of a content or a charter that are shown."""
LOOK_S = 1.0
"""How often a command that waits looks."""
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "seat": (Path | None, typer.Option("--seat", help="The file with the seat's keys; else `alliance/seat` at home.")),
    "spare": (Path | None, typer.Option("--spare", help="The file with the spare key; else beside the seat.")),
    "take": (
        list[Path] | None,
        typer.Option("--in", metavar="<path>", help="A file in place of what the node has; more than once."),
    ),
    "out": (Path | None, typer.Option("--out", help="Where to write the result, in place of the node.")),
    "yes": (bool, typer.Option("--yes", help="Sign without being asked; you have read what it changes.")),
    "wait": (bool, typer.Option("--wait", help="Stay until the next epoch stands; sign what that still needs.")),
}


def command(options: str, name: str = "") -> Callable[[F], F]:
    """Decorates a function of a `SeatWork`, which has what these options say; its other parameters are typed, too."""
    own = [
        inspect.Parameter(
            one,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if kind is bool else None,
            annotation=Annotated[kind, option],
        )
        for one, (kind, option) in _OPTIONS.items()
        if one in options.split()
    ]

    def add(declared: F) -> F:
        def do(s: Session, **typed: Any) -> None:
            shared = {one.name: typed.pop(one.name) for one in own}
            work = SeatWork(s, **shared)
            try:
                declared(work, **typed)
            except NoNode as why:
                if not work.was_linked:
                    raise
                raise NoNode(f"{why} Then run the same again: it goes on where it stopped.") from why

        return COMMANDS.add(name, declared, lambda: [*declare.params_of(declared, 1)(), *own], do)

    return add


@dataclass
class SeatWork:
    """A session, and what its command was given. take, out: files in place of the node's acts."""

    s: Session
    seat: Path | None = None
    spare: Path | None = None
    take: list[Path] | None = None
    out: Path | None = None
    yes: bool = False
    wait: bool = False
    _last: str = ""
    was_linked: bool = False

    @property
    def folder(self) -> Path:
        return self.s.home.path / "alliance"

    @property
    def seat_path(self) -> Path:
        return (self.seat or self.folder / "seat").absolute()

    @property
    def spare_path(self) -> Path:
        return (self.spare or self.seat_path.with_name(f"{self.seat_path.name}.spare")).absolute()

    @property
    def realm(self) -> Realm:
        from banyan_crdt.realm import REALMS

        return REALMS[self.s.settings.config.node.realm]

    @property
    def linked(self) -> bool:
        """Whether a running node carries what others need, and brings what they sign. Raises NoNode if one did that
        before: who waits for it is not done."""
        now = self.out is None and self.s.node() is not None
        if self.was_linked and not now:
            raise NoNode("The node stopped before this was done; start it with `banyan up`.")
        self.was_linked = now
        return now

    def address(self, given: str) -> str:
        """Where this node is dialled: what was given, else where it listens."""
        node = self.s.node()
        return given or " ".join(node.call("id")["addresses"] if node else ())

    def ledger(self) -> ActLedger:
        """Of the files, else of the node; each signature is checked again."""
        from banyan_node.alliance.papers import add_acts, ledger_of

        if self.take:
            return ledger_of(self.take)
        raws, after = list[bytes](), 0
        while after is not None:
            page = self.s.call("alliance.acts", after=after)
            raws += map(b64decode, page["acts"])
            after = page["after"]
        ledger = add_acts(None, self.realm, raws[0], raws[1:])
        ledger.settle()
        return ledger

    @contextmanager
    def at_work(self) -> Iterator[tuple[SeatFile, ActLedger]]:
        """The seat, which this command has alone, and the charter as it stands."""
        from banyan_node.alliance.seat_file import opened

        if not self.seat_path.exists():
            raise BadInput(
                f"There is no seat in {self.seat_path}; name it with --seat, or make one: `join` or `found`."
            )
        if self.take:
            self.demand_out()
        with opened(self.seat_path) as mine:
            ledger = self.ledger()
            mine.settle(ledger)
            yield mine, ledger

    def demand_out(self) -> None:
        if self.out is None:
            raise BadInput("With --in, say with --out where to write what you sign.")

    def ask(self, title: str, said: list[str]) -> None:
        """Shows what is to be signed, and asks. Raises BadInput where nobody can be asked."""
        for line in [f"{title}:", *(f"  {line}" for line in said)]:
            self.s.out.note(plain_text(line))
        if self.yes:
            return
        if self.s.out.json or not sys.stdin.isatty():
            raise BadInput("Nothing was signed: read what it changes, then say --yes.")
        if not typer.confirm("Sign it?", err=True):
            raise Failed("Nothing was signed.")

    def give(self, value: Row, texts: list[str], note: str) -> None:
        """Lines of text for somebody else. note: what they are, `{}` stands for where they are."""
        if self.out is not None:
            write_file(self.out, "\n".join(texts))
        value["file"] = str(self.out) if self.out else None
        self.s.out.answer(value, lambda console, value: show_lines(console, [] if self.out else texts))
        self.s.out.note(note.replace("{}", f", in {self.out}" if self.out else ""))

    def follow(self, ledger: ActLedger) -> None:
        """Has the node follow this charter, and gives it these acts. In place of another one: who is in both is shown,
        and asked."""
        from banyan_charter.acts import encode_act
        from banyan_node.api.alliance_rows import member_rows

        new = {row.account: row.domain for row in member_rows(ledger)}
        if (before := self._followed()) is not None and before["charter"] != ledger.charter.hex():
            old = {row["account"]: row["domain"] for row in self.s.call("alliance.members")["members"]}
            both, left, came = old.keys() & new.keys(), old.keys() - new.keys(), new.keys() - old.keys()
            said = (("both", new, both), (f"{before['name']} alone", old, left), ("the new one alone", new, came))
            lines = [f"In {what}: {', '.join(sorted(of[one] for one in who)) or 'nobody'}." for what, of, who in said]
            self.ask(f"Follow {ledger.founding.name.decode()} in place of {before['name']}", lines)
        self.s.call("alliance.follow", founding=b64encode(encode_act(ledger.founding)).decode())
        self.offer(every_act(ledger))

    def _followed(self) -> Row | None:
        """What `alliance.status` answers; None: no charter is followed."""
        try:
            found: Row = self.s.call("alliance.status")
            return found
        except CallError as error:
            if error.code != "not_found":
                raise
            return None

    def offer(self, acts: list[Act]) -> None:
        """Gives acts to the node, and says what it does not take now."""
        from banyan_charter.acts import encode_act

        for at in range(0, len(acts), OFFERED):
            texts = [b64encode(encode_act(act)).decode() for act in acts[at : at + OFFERED]]
            for why in self.s.call("alliance.offer", acts=texts)["refused"]:
                self.s.out.note(f"An act was not taken: {why}.")

    def hand_on(self, ledger: ActLedger, mine: SeatFile, signed: list[Act]) -> None:
        """Gives away what was signed: the file of all acts, or the node."""
        from banyan_node.alliance.papers import acts_text

        for act in signed:
            ledger.add(act)
        ledger.settle()
        mine.settle(ledger)
        if self.out is not None:
            write_file(self.out, acts_text(ledger, every_act(ledger)))
        else:
            self.offer(signed)

    def hand_on_until(self, ledger: ActLedger, mine: SeatFile) -> None:
        """The same of a seat that is founded or admitted: the node follows the charter, and it is waited until an epoch
        has the seat."""
        if self.out is None:
            self.follow(ledger)
        self.hand_on(ledger, mine, mine.acts())
        while self.linked and not (ledger.epochs and mine.seat.member in ledger.epochs[-1].seats):
            ledger = self.changed(ledger)
        mine.settle(ledger)
        self.signed(ledger, mine)

    def changed(self, ledger: ActLedger) -> ActLedger:
        """What the node has once that is not this."""
        while (value := self.s.call("alliance.status"))["digest"] == ledger.digest.hex():
            self.progress(" ".join(stand(value)))
            time.sleep(LOOK_S)
        return self.ledger()

    def progress(self, sentence: str) -> None:
        """What is waited for, if that is not the same as before."""
        if not self._last:
            self.s.out.note("Waiting; Ctrl-C ends that, and the same command goes on.")
        if sentence != self._last:
            self.s.out.note(sentence)
        self._last = sentence

    def signed(self, ledger: ActLedger, mine: SeatFile) -> None:
        """Says where that leads."""
        from banyan_node.api.alliance_rows import next_steps, status_of

        value = {**plain(status_of(ledger)), "next": next_steps(ledger, mine)}
        self.s.out.done(
            {"state": "signed", **value, "file": str(self.out) if self.out else None}, " ".join(stand(value))
        )
        if self.out is not None:
            self.s.out.note(f"All acts are in {self.out}: give it to those whose signatures are missing.")

    def cards(self, ledger: ActLedger, of: list[Invitation] | None = None) -> list[Admit]:
        """Who answered invitations of this home, or these alone, and was never a member."""
        from banyan_node.alliance.invitations import invited

        with invited(self.folder) as table:
            came = [] if table is None or table.charter != ledger.charter else table.cards()
        return [
            card.admission
            for one, card in came
            if (of is None or one in of)
            and not any(card.seat.member in epoch.seats for epoch in ledger.epochs[one.since - 1 :])
        ]

    def account(self, account: str | None) -> AccountId:
        """An id is taken as it is, so that a seat can be made on a machine without a node."""
        from banyan_crdt.ids import account_from_text

        if account is None or not account.startswith("did:"):
            shown = self.s.call("account.show", **({"account": account} if account else {}))
            if not shown["hosted"]:
                raise BadInput(f"'{account}' is not hosted here; a member's account is one that its own node hosts.")
            account = shown["account"]
        return account_from_text(str(account))


def every_act(ledger: ActLedger) -> list[Act]:
    return [act for number in range(len(ledger.epochs) + 1) for act in ledger.acts(number)]


def stand(value: Row) -> list[str]:
    """What stands and what is open, a sentence each."""
    if value["epoch"] is None:
        return [f"{value['name']} is not founded yet: {', '.join(value['missing'])} did not sign."]
    said = f"Epoch {value['epoch']} of {value['name']} stands: {count(value['members'], 'member')}."
    return [said, *map(open_sentence, value["contents"])]


def open_sentence(row: Row) -> str:
    what = "is locked, and waits for commits of" if row["locked"] else "waits for votes of"
    return f"{row['id'][:SHORT]} by {row['author']} {what} {', '.join(row['missing']) or 'nobody'}."


def plain(row: Any) -> Row:
    import msgspec

    found: Row = msgspec.to_builtins(row)
    return found


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
