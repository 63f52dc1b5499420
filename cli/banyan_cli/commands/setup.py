"""A node's beginnings: its home, its keys, its settings, and running it."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import paper
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput, Failed
from banyan_cli.parameters import argument, some_setting
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_node.home.settings import Row

_config = root.group("config", "Settings: flag, else environment, else config.toml, else default.")

DOWN_SECONDS = 60.0
"""How long `banyan down` waits for the process: requests get `control.grace_seconds`, then the store is closed."""


@root.command()
def init(
    s: Session,
    name: Annotated[str | None, typer.Option(help="What the node and its account are called.")] = None,
    role: Annotated[str | None, typer.Option(help="platform, hobbyist or researcher.")] = None,
    realm: Annotated[str | None, typer.Option(help="main, or test for entries that may be thrown away.")] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal the keys; BANYAN_PASSPHRASE, else asked for twice.")
    ] = False,
    recovery: Annotated[
        str | None, typer.Option(help="A commitment that `banyan keys words` made elsewhere; no words are made here.")
    ] = None,
    keep_recovery: Annotated[
        bool, typer.Option("--keep-recovery", help="No words: the key stays here; who copies the home has the account.")
    ] = False,
    ask: Annotated[
        bool | None, typer.Option("--ask/--no-ask", help="Ask what matters; the default on a terminal without options.")
    ] = None,
) -> None:
    """Make a node: its folder, its keys and its account, and show the 24 recovery words once."""
    from banyan_cli.node_setup import make_node, on_terminal, refuse_a_second_node, refuse_to_contradict
    from banyan_node.home.keystore import passphrase_from
    from banyan_node.home.recovery import commitment, new_words
    from banyan_node.home.settings import parse

    if name is not None and not name.strip():
        raise BadInput("--name is one line of at most 64 characters; leave it away to give no name.")
    alone = on_terminal() and not any((name, role, realm, passphrase, recovery, keep_recovery, s.out.json))
    if ask and not alone:
        raise BadInput("--ask asks on a terminal, and goes with no other option; leave the others out, or --ask.")
    if ask or (ask is None and alone):
        refuse_a_second_node(s.home)
        _make_by_asking(s)
        s.out.note('Next: `banyan up` starts it, `banyan post "..."` says something.')
        return
    given = {"node.name": name, "node.role": role, "node.realm": realm}
    chosen = {key: parse(key, value) for key, value in given.items() if value is not None}
    if recovery is not None and keep_recovery:
        raise BadInput("--recovery and --keep-recovery contradict each other; give one of them.")
    refuse_to_contradict(chosen)
    refuse_a_second_node(s.home)
    words = None if recovery is not None or keep_recovery else new_words()
    committed = commitment(words) if words else None if recovery is None else paper.checked_commitment(recovery)
    value = make_node(s.home, chosen, passphrase_from(prompt=paper.new_passphrase if passphrase else None), committed)
    if words:
        value["recovery_words"] = words.split()
    s.out.answer(value, _show_made)
    if words:
        s.out.note("Write the 24 recovery words down in order, and keep them off this machine: they are shown once.")
        s.out.note("They take the account back from whoever copies this home: `banyan account recover`.")
    s.out.note('Next: `banyan up` starts it, `banyan post "..."` says something.')


def _make_by_asking(s: Session) -> None:
    """Raises typer.Abort."""
    from banyan_cli.node_setup import ask_first_questions, make_node
    from banyan_node.home.keystore import passphrase_from
    from banyan_node.home.recovery import commitment

    passphrase = passphrase_from()
    try:
        answers = ask_first_questions(s)
    except (KeyboardInterrupt, typer.Abort):
        s.out.note("\nNothing was made.")
        raise
    value = make_node(s.home, answers.settings, passphrase, commitment(answers.words), answers.follow)
    s.out.answer(value, _show_made)
    if answers.settings.get("http.address"):
        s.out.note("`banyan login set NAME` gives somebody a password for the door.")


def _show_made(console: Console, value: dict[str, Any]) -> None:
    sentence = f"A node was made in {value['home']}. Its account is {value['account']}."
    console.print(sentence, soft_wrap=True)
    if "recovery_words" in value:
        paper.show_words(console, value["recovery_words"])


@root.command()
def up(
    s: Session,
    listen: Annotated[list[str] | None, typer.Option(help="Where peers connect, a multiaddr; may be repeated.")] = None,
    announce: Annotated[list[str] | None, typer.Option(help="What to tell peers instead; may be repeated.")] = None,
    bootstrap: Annotated[list[str] | None, typer.Option(help="A peer to dial first; may be repeated.")] = None,
    mdns: Annotated[bool | None, typer.Option("--mdns/--no-mdns", help="Find peers on the local network.")] = None,
    interest: Annotated[str | None, typer.Option(help="What to hold: follows (the default), or all.")] = None,
    control_port: Annotated[int | None, typer.Option(help="Port of the control API; 0 takes a free one.")] = None,
    http: Annotated[str | None, typer.Option(help="Where to serve apps and browsers, such as 127.0.0.1:8080.")] = None,
    http_workers: Annotated[
        int | None, typer.Option(help="Processes that serve it beside the node; 0: the node itself does.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, console or json.")] = None,
) -> None:
    """Run the node until ctrl-C."""
    gc.disable()  # while modules load nothing is garbage, and looking for it took a seventh of the start
    from banyan_cli.show.status import welcome
    from banyan_node.logging import set_up_logging
    from banyan_node.process import main
    from banyan_web.oauth.logins import at_door

    gc.enable()
    flags = {
        "node.listen": ",".join(listen) if listen else None,
        "node.announce": ",".join(announce) if announce else None,
        "node.bootstrap": ",".join(bootstrap) if bootstrap else None,
        "node.mdns": mdns,
        "interest.mode": interest,
        "control.port": control_port,
        "http.address": http,
        "http.workers": http_workers,
        "log.level": log_level,
        "log.format": log_format,
    }
    if not s.home.keys.exists() and not s.out.json:
        from banyan_cli.node_setup import confirmed, on_terminal

        if on_terminal():
            s.out.note(f"There is no node in {s.home.path} yet.")
            if confirmed("Make one now"):
                _make_by_asking(s)
    settings = s.settings_with(flags)
    set_up_logging(settings.config.log, folder=s.home.path)
    person = sys.stderr.isatty() and not s.out.json and settings.config.log.format == "auto"
    doors = []
    if settings.config.http.address:
        from banyan_web.startup import open_door

        doors = [open_door]
    greet = partial(welcome, s.out.notes) if person else None
    raise typer.Exit(main(s.home, settings, s.passphrase(), greet, doors, at_door(s.home.door)))


@root.command()
def down(s: Session) -> None:
    """Stop the running node; returns once its process has ended and the store is free."""
    import time

    from banyan_cli.progress import waiting
    from banyan_node.server.control_client import ControlClient
    from banyan_node.server.servers import alive, find_running

    running, token = find_running(s.home)
    with ControlClient(s.home, running, token) as node:
        node.call("shutdown")
    deadline = time.monotonic() + DOWN_SECONDS
    with waiting(s.out.notes, "stopping"):
        while alive(running.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    if alive(running.pid):
        raise Failed(
            f"The node was told to stop and process {running.pid} still runs after {DOWN_SECONDS:.0f} s; it may be "
            "writing. Wait, and look at its log."
        )
    s.out.done({"stopped": True}, "The node has stopped.")


@root.command("id")
def identity(s: Session) -> None:
    """Who this node is, and where peers reach it."""
    s.out.answer(s.call("id"), _show_identity)


def _show_identity(console: Console, value: dict[str, Any]) -> None:
    rows = [("account", value["account"] or "none yet"), ("name", value["name"]), ("peer id", value["peer_id"])]
    rows += [("role", value["role"]), ("realm", value["realm"]), ("writer", value.get("writer", ""))]
    rows += [("address", a) for a in value["addresses"]] or [("address", "none: the node is not running")]
    for label, text in rows:
        console.print(f"{label:<9}", end="", style="dim")
        console.print(plain(str(text)), soft_wrap=True)


# --- settings --------------------------------------------------------------------------------------------------------


@_config.command("show")
def config_show(
    s: Session, name: Annotated[str | None, argument("One setting or section; all when left out.", some_setting)] = None
) -> None:
    """Every setting, its value, and where the value comes from."""
    rows = [
        r for r in s.settings.rows() if name is None or r.option.name == name or r.option.name.startswith(name + ".")
    ]
    if not rows:
        raise BadInput(f"'{name}' is no setting; `banyan config show` lists them all.")
    if s.out.json:
        from banyan_cli.out import write_json

        for row in rows:
            write_json(_config_json(row))
    else:
        _show_config(s.out.console, rows)


def _config_json(row: Row) -> dict[str, Any]:
    option, value, source = row
    return {
        "name": option.name,
        "value": value,
        "default": option.default,
        "source": source.layer,
        "where": source.where,
        "variable": option.variable,
        "allowed": option.allowed,
        "why": option.why,
    }


def _show_config(console: Console, rows: list[Row]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    table.add_column("why", style="dim")
    for option, value, source in rows:
        shown = ", ".join(value) if isinstance(value, list) else str(value).lower() if value in (True, False) else value
        said = source.where if source.layer == "default" else f"{source.layer}: {source.where}"
        style = "" if source.layer == "default" else "bold"
        table.add_row(option.name, Text(str(shown) or "(none)", style), Text(said), option.why)
    console.print(table)


@_config.command("set")
def config_set(
    s: Session,
    name: Annotated[str, argument("Such as node.name or limits.peers.", some_setting)],
    text: Annotated[str, typer.Argument(metavar="VALUE", help="Lists are separated by commas.")],
) -> None:
    """Write one setting into config.toml; a running node takes it at its next start."""
    from banyan_node.home.settings import lacks, parse, set_in_file

    typed = parse(name, text)
    if name == "node.realm":
        from banyan_crdt.realm import REALMS
        from banyan_node.local import refuse_another_realm

        refuse_another_realm(s.home, REALMS[typed])
    s.home.prepare()
    set_in_file(s.home.config, name, typed)
    s.out.done(
        {"name": name, "value": typed, "file": str(s.home.config)}, f"{name} is now {typed!r} in {s.home.config}."
    )
    if (why := lacks(s.home, name, typed)) is not None:
        s.out.note(why)
    if s.node() is not None:
        s.out.note("The node that is running takes it at its next start.")
