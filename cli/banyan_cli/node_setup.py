"""Making a node: its folder, its settings, its keys, and the account that it writes as; and the first questions.

The invariants: keys are made once and never overwritten. A home with keys also has an account, or gets one at the next
start. What fails leaves the home as it was; ctrl-C waits until the node is made, which takes less than a second.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import typer

from banyan_cli import errors, paper
from banyan_cli.checks import why_taken
from banyan_cli.command_session import Session
from banyan_cli.errors import BadInput
from banyan_cli.out import Out
from banyan_node.home.folder import Home
from banyan_node.home.settings import Settings, ValueRefused, in_environment, parse
from banyan_node.operator_errors import ConfigError, KeysExist, OperatorError
from banyan_node.terminal_escape import plain


def refuse_a_second_node(home: Home) -> None:
    """Raises KeysExist if the home has a node already."""
    if home.keys.exists():
        raise KeysExist(f"{home.path} is a node already; `banyan up` starts it, and --home makes one elsewhere.")


def refuse_to_contradict(chosen: Mapping[str, Any]) -> None:
    """Raises BadInput if a variable of the environment outranks what is to be written into config.toml."""
    from banyan_node.home.settings import in_environment

    for name, (value, variable) in in_environment().items():
        wanted = chosen.get(name, value)
        if value != wanted:
            raise BadInput(
                f"{variable} sets {name} to '{value}', and '{wanted}' is asked for; unset it, or leave the option away."
            )


def make_node(
    home: Home,
    settings: Mapping[str, Any],
    passphrase: str | None,
    recovery: str | None = None,
    follow: str | None = None,
) -> dict[str, Any]:
    """settings: name -> typed value, written into config.toml. recovery: a commitment; without one the key is kept.
    follow: an account that the new one follows.

    Raises KeysExist, HomeError, KeystoreError.
    """
    from banyan_node.home.keystore import Keystore
    from banyan_node.home.settings import load, set_in_file
    from banyan_node.local import open_local

    refuse_a_second_node(home)
    with _uninterrupted(), _all_or_nothing(home):
        home.prepare()
        home.restored.unlink(missing_ok=True)  # of a `keys restore` that was interrupted
        for name, value in settings.items():
            set_in_file(home.config, name, value)
        loaded = load(home)
        Keystore.create(home.keys, passphrase)
        with open_local(home, loaded, passphrase) as store:
            made = store.call("account.create", name=loaded.config.node.name, hosted=False, recovery=recovery)
            if follow is not None:
                store.call("follow", account=follow)
    return {"home": str(home.path), "account": made["account"], "name": made["name"], "sealed": passphrase is not None}


@contextmanager
def _all_or_nothing(home: Home) -> Iterator[None]:
    """What an error leaves in the home is removed, and config.toml is what it was."""
    was_here = home.path.exists()
    before = set(home.path.iterdir()) if was_here else set()
    config = home.config.read_bytes() if home.config in before else None
    try:
        yield
    except BaseException:
        for made in set(home.path.iterdir()) - before if home.path.exists() else ():
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        if config is not None:
            home.config.write_bytes(config)
        if not was_here and home.path.exists():
            home.path.rmdir()
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C is not heard inside."""
    if threading.current_thread() is not threading.main_thread():  # no signal comes here
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# The first questions, each with a default that works. Nothing is written before the last answer, so ctrl-C leaves
# everything as it was.

NOBODY, NONE = "nobody", "none"
"""The answers that leave a door shut, and name nothing."""
NAME = "What this node and your account are called"
LISTEN = "Where other nodes connect: a port such as 4001, an address such as /ip4/0.0.0.0/tcp/4001, or nobody"
DOOR = "Where apps and browsers connect: a port such as 8080, HOST:PORT, or nobody"
BOOTSTRAP = "Which node to dial first: its address, as `banyan id` shows it there, or none"
FOLLOW = "Whom to follow first: an account, did:banyan:z..., or none"
PAPER = "Enter, once they are on paper"


class WizardAnswers(NamedTuple):
    """settings: name -> value, for config.toml. follow: an account, or None. words: the 24 recovery words."""

    settings: dict[str, Any]
    follow: str | None
    words: str


def ask_first_questions(s: Session) -> WizardAnswers:
    """Raises typer.Abort, KeyboardInterrupt: nothing was made then."""
    from banyan_node.home.recovery import new_words

    out, settings, fixed = s.out, s.settings, in_environment()
    out.note(f"This makes a node in {s.home.path}. Enter takes what stands in brackets; ctrl-C ends this, unmade.")
    chosen: dict[str, Any] = {}
    for name, question, default, check in _questions(settings):
        if name in fixed:
            out.note(f"{name} is {fixed[name][0]!r}, by {fixed[name][1]}.")
        elif (value := ask(question, default, check)) is not None:
            chosen[name] = value
    _say_unreached(out, chosen)
    follow = ask(FOLLOW, NONE, _account)
    words = new_words()
    out.note("These 24 words take the account back from whoever copies this home. They are shown once:")
    paper.show_words(out.notes, words.split())
    wait_for_enter(PAPER)
    return WizardAnswers(chosen, follow, words)


_Question = tuple[str, str, str, Callable[[str], Any]]


def _questions(settings: Settings) -> tuple[_Question, ...]:
    """Setting, question, default, check. A check that returns None leaves the setting as it is. Values that are in
    config.toml already are the defaults."""
    node, listen = settings.config.node, settings.sources["node.listen"].layer != "default"
    return (
        ("node.name", NAME, node.name or _name_of_user(), _name),
        ("node.listen", LISTEN, ",".join(node.listen) if listen else NOBODY, _listen),
        ("http.address", DOOR, settings.config.http.address or NOBODY, _door),
        ("node.bootstrap", BOOTSTRAP, ",".join(node.bootstrap) or NONE, _bootstrap),
    )


def _name_of_user() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        name = "root"
    name = socket.gethostname() if name == "root" else name
    return "".join(c for c in name if c.isprintable())[:64] or "node"


def _taken(setting: str, text: str, wrong: str) -> Any:
    """The value of an answer. wrong: what it is not, and what to give. Who answers knows of no setting."""
    try:
        return parse(setting, text)
    except ValueRefused as why:
        raise BadInput(why.what) from why
    except ConfigError as why:
        raise BadInput(f"'{text[:80]}' is {wrong}.") from why


def _name(text: str) -> str:
    return str(_taken("node.name", text, "no name: give one line of at most 64 characters"))


def _listen(text: str) -> list[str] | None:
    if text.lower() == NOBODY:
        return None
    wrong = (
        "no place to connect to: give a port such as 4001, an address such as /ip4/0.0.0.0/tcp/4001 (at most 16, with "
        f"commas between them), or {NOBODY}"
    )
    given = f"/ip4/0.0.0.0/tcp/{_port(text)}" if text.isdigit() else text
    found: list[str] = _taken("node.listen", given, wrong)
    for address in found:
        _, family, host, kind, port, *_ = address.split("/")
        if kind == "tcp" and family in ("ip4", "ip6"):
            _refuse_taken(host, _port(port))
    return found


def _door(text: str) -> str | None:
    from banyan_node.server.http_server import Bind

    if text.lower() == NOBODY:
        return None
    given = f"127.0.0.1:{_port(text)}" if text.isdigit() else text
    address = str(_taken("http.address", given, f"no place to connect to: give a port such as 8080, or {NOBODY}"))
    bind = Bind.at(address)
    if not bind.socket:
        _refuse_taken(bind.host, bind.port)
    return address


def _bootstrap(text: str) -> list[str] | None:
    if text.lower() == NONE:
        return None
    wrong = f"no node to dial: give its address, as `banyan id` shows it there, with its /p2p/ at the end, or {NONE}"
    found: list[str] = _taken("node.bootstrap", text, wrong)
    return found


def _account(text: str) -> str | None:
    from banyan_crdt.errors import BanyanError
    from banyan_crdt.ids import account_from_text

    if text.lower() == NONE:
        return None
    try:
        account_from_text(text)
    except (BanyanError, ValueError) as why:
        raise BadInput(f"'{text[:80]}' is no account: give it whole, as `banyan id` shows it, or {NONE}.") from why
    return text


def _port(text: str) -> int:
    if not text.isascii() or len(text) > 5 or int(text) > 65_535:
        raise BadInput(f"{text[:20]} is no port: it is from 0 to 65535.")
    return int(text)


def _refuse_taken(host: str, port: int) -> None:
    """Raises BadInput if this machine could not listen there now."""
    why = why_taken(host, port)
    if why is not None:
        raise BadInput(why)


def _say_unreached(out: Out, chosen: Mapping[str, Any]) -> None:
    """A node that is off at the moment is no mistake of who names it."""
    from banyan_node.links.peerstore import why_unreachable

    for address in chosen.get("node.bootstrap", ()):
        if (why := why_unreachable(address)) is not None:
            out.note(f"It is noted, and dialled again and again; at the moment it is not reached: {why}.")


# Questions on a terminal: each has a default, and an answer that cannot be used is refused in one sentence, at once.
# What is asked and what is refused goes to standard error, so that standard output has the result alone.


T = TypeVar("T")


def on_terminal() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, default: str, check: Callable[[str], T]) -> T:
    """The answer, as `check` returns it. check: raises OperatorError, whose sentence is shown before the question comes
    again. Raises typer.Abort at the end of the input, and KeyboardInterrupt."""
    while True:
        _say(f"{question} [{default}]: ")
        try:
            line = sys.stdin.readline()
            if not line:
                _say("\n")
                raise typer.Abort
            line.encode()  # bytes that are no text came through as they were
            return check(line.strip() or default)
        except UnicodeError:
            _say("That is not UTF-8; type it again, in the encoding of your terminal.\n")
        except OperatorError as why:
            _say(f"{errors.sentence(why)}\n")


def confirmed(question: str) -> bool:
    """Yes, unless the answer is no."""
    return ask(question, "yes", _yes_or_no)


def wait_for_enter(question: str) -> None:
    _say(f"{question}: ")
    if not sys.stdin.readline():
        _say("\n")
        raise typer.Abort


def _yes_or_no(text: str) -> bool:
    word = text.lower()
    if word not in ("y", "yes", "n", "no"):
        raise errors.BadInput("Answer yes or no.")
    return word.startswith("y")


def _say(text: str) -> None:
    sys.stderr.write(plain(text, lines=True))
    sys.stderr.flush()
