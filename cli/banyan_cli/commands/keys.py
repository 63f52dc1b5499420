"""The two papers: backup words, which are this node's master, and recovery words, which no node holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import paper
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

_keys = root.group(
    "keys", "The master secret of this node and its 24 backup words; the 24 recovery words, which no node holds."
)


@_keys.command("words")
def words(
    s: Session,
    check: Annotated[bool, typer.Option("--check", help="Ask for words that exist; say what they commit to.")] = False,
    words_file: paper.WordsFile = None,
) -> None:
    """Make 24 recovery words and the commitment that an account is made with. Needs no node and no home."""
    from banyan_node.home.mnemonic import is_marked
    from banyan_node.home.recovery import commitment, new_words

    if check:
        text = paper.words_from(words_file, "The 24 recovery words")
        committed = commitment(text)
        s.out.done({"commitment": committed}, committed)
        if not is_marked(text):
            s.out.note("These are backup words of a node, or recovery words of an older program; look at the paper.")
        return
    if words_file is not None:
        raise BadInput("--words-file names words that exist; say --check with it.")
    made = new_words()
    s.out.answer({"words": made.split(), "commitment": commitment(made)}, _show)
    s.out.note("Write the 24 words down in order, and keep them off this machine: they are shown once.")
    s.out.note("The last line is public: `banyan account create NAME --recovery ...` takes it, on any node.")


def _show(console: Console, value: dict[str, Any]) -> None:
    paper.show_words(console, value["words"])
    if "commitment" in value:
        console.print(value["commitment"], soft_wrap=True)


@_keys.command("backup")
def backup(
    s: Session,
    to: Annotated[Path | None, typer.Option(help="A file to write instead of the screen; it must not exist.")] = None,
) -> None:
    """The 24 backup words: this node, its device and the root keys of its accounts. Not the recovery words."""
    words = _open(s).keys.words()
    if to is not None:
        from banyan_node.home.folder import write_private

        try:
            write_private(to, words.encode() + b"\n", replace=False)
        except FileExistsError as error:
            raise BadInput(f"{to} exists; name a file that does not, so that no other backup is lost.") from error
        except OSError as error:
            raise BadInput(f"The backup words cannot be written to {to} ({error.strerror}).") from error
        s.out.done({"file": str(to)}, f"The 24 backup words are in {to}, readable by you alone.")
        return
    s.out.answer({"words": words.split()}, _show)
    s.out.note("Write them down in order and keep them off this machine. Whoever has them is this node.")


@_keys.command("restore")
def restore(
    s: Session,
    words_file: paper.WordsFile = None,
    realm: Annotated[str | None, typer.Option(help="main, or test: that of the node whose keys they are.")] = None,
    account: Annotated[
        str | None, typer.Option(help="The id of the node's own account, if you know it: no other is taken for it.")
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal the keys; BANYAN_PASSPHRASE, else asked for twice.")
    ] = False,
) -> None:
    """Bring this node's keys back from its 24 backup words, into a home that has none.

    A store that is there already is taken over if it is of the same realm and of the same keys, else it is refused.
    Recovery words are different ones and are refused: `banyan account recover` takes an account back with them.
    """
    from banyan_cli.node_setup import refuse_a_second_node, refuse_to_contradict
    from banyan_crdt.realm import REALMS
    from banyan_node.home.folder import write_private
    from banyan_node.home.keystore import Keystore, keys_from_words, passphrase_from
    from banyan_node.home.settings import load, parse, set_in_file
    from banyan_node.local import refuse_store_of_others

    own = b"" if account is None else _account_id(account)
    chosen = {} if realm is None else {"node.realm": parse("node.realm", realm)}
    refuse_to_contradict(chosen)
    refuse_a_second_node(s.home)
    text = paper.words_from(words_file, "The 24 backup words, from `banyan keys backup` (not the recovery words)")
    sealed = passphrase_from(prompt=paper.new_passphrase if passphrase else None)
    keys = keys_from_words(text)  # a home is made only for words that are right
    of = realm or load(s.home).config.node.realm
    refuse_store_of_others(s.home, keys, REALMS[of])
    s.home.prepare()
    for name, value in chosen.items():
        set_in_file(s.home.config, name, value)
    write_private(s.home.restored, own)  # before the keys: a start with them looks for their accounts
    Keystore.restore(s.home.keys, text, sealed)
    value = {"home": str(s.home.path), "sealed": sealed is not None, "realm": of}
    s.out.done(value, f"The keys are back in {s.home.keys}, for the realm '{of}'.")
    if not chosen:
        s.out.note("If their node was of another realm: `banyan config set node.realm REALM`, before the first start.")
    s.out.note(
        "Next: `banyan up --bootstrap ADDRESS`. Your account and all that you host come back by themselves from peers "
        "that hold them; `banyan status` says how far that is."
    )


def _account_id(text: str) -> bytes:
    from banyan_crdt.ids import account_from_text

    try:
        return account_from_text(text)
    except ValueError as error:
        raise BadInput(f"--account: {error}.") from error


@_keys.command("renew")
def renew(s: Session) -> None:
    """Give this home another master, because somebody copied the one it has. `banyan account recover` comes next."""
    renew_master(s)
    s.home.renewing.unlink(missing_ok=True)
    s.out.done(
        {"home": str(s.home.path), "old": str(s.home.old_keys)},
        f"The node has another master; the old one is in {s.home.old_keys}.",
    )
    s.out.note("Next: `banyan account recover` for each account, with its recovery words. Then `banyan keys backup`.")


def renew_master(s: Session) -> None:
    """Replaces the master of the home, or goes on where this was stopped. The caller removes `renewing` once all is
    done that it wants new keys for. Raises BadInput where it cannot be."""
    from banyan_node.home.folder import write_private
    from banyan_node.home.keystore import Keystore
    from banyan_node.local import reseal_local

    if s.node() is not None:
        raise BadInput("The node is running; stop it with `banyan down` first.")
    keystore = _open(s)
    own = s.call("id")["account"]
    if own is not None and any(key["held"] for key in s.call("account.show", account=own)["keys"][1:]):
        raise BadInput(
            "These keys hold the recovery key of your account, and another master would lose it. Move it to words "
            "first: `banyan keys words`, then `banyan account rotate --slot 1 --words-file FILE`."
        )
    sealed = s.passphrase() if keystore.encrypted else None
    s.close()
    if are_renewed(s):
        before = Keystore.open(s.home.old_keys).unlock(sealed)
    else:
        before = keystore.keys
        if not s.home.old_keys.exists():
            write_private(s.home.renewing, b"")
        keystore = keystore.renew(s.home.old_keys, sealed)
    reseal_local(s.home, s.settings, before, keystore.keys)


def are_renewed(s: Session) -> bool:
    """Whether a renewal that was stopped has replaced the keys."""
    from banyan_node.home.keystore import Keystore

    if not (s.home.renewing.exists() and s.home.old_keys.exists()):
        return False
    old = Keystore.open(s.home.old_keys).unlock(s.passphrase())
    return bool(old.device_seed() != _open(s).keys.device_seed())


@_keys.command("passphrase")
def passphrase(
    s: Session,
    remove: Annotated[bool, typer.Option("--remove", help="Keep the keys without a passphrase.")] = False,
    new_file: Annotated[Path | None, typer.Option(help="A file that holds the new passphrase.")] = None,
) -> None:
    """Seal the keys under a new passphrase (the old one: BANYAN_PASSPHRASE or asked for)."""
    from banyan_node.home.keystore import passphrase_from

    keystore = _open(s)
    if remove:
        new = None
    elif new_file is not None:
        new = passphrase_from(new_file, env={})
    elif sys.stdin.isatty():
        new = paper.new_passphrase()
    else:
        raise BadInput("The new passphrase was not given; name a file with --new-file, or say --remove.")
    if new is None and not remove:
        raise BadInput("The new passphrase is empty; give one, or say --remove.")
    keystore.change_passphrase(new)
    s.out.done({"sealed": new is not None}, "The keys are sealed." if new else "The keys have no seal now.")


def _open(s: Session) -> Any:
    from banyan_node.home.keystore import Keystore

    keystore = Keystore.open(s.home.keys)
    if keystore.locked:
        keystore.unlock(s.passphrase())
    return keystore
