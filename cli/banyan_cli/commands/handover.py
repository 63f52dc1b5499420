"""Moving out: a platform hands an account over to its user, and the user's own node takes it.

The invariant: the words are in a file, or were shown, before the node gives its key away.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from banyan_cli import paper, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.accounts import Incomplete, Sure, account_commands, confirm
from banyan_cli.errors import BadInput, Failed
from banyan_cli.parameters import argument, some_account
from banyan_cli.show.tables import count
from banyan_node.operator_errors import CallError

PassphraseFile = Annotated[
    Path | None, typer.Option(help="A file with the passphrase of the sealed words; else it is asked for.")
]
POLL_SECONDS = 0.5
ALONE = 20
"""Polls in a row without any peer, after which nobody else is waited for."""
STEADY = 3
"""Polls in a row that must find nothing missing, so that a peer had time to say what it holds."""


@account_commands.command()
def handover(
    s: Session,
    name: Annotated[str, argument("An account hosted here: name or id.", some_account, "NAME")],
    out: Annotated[
        Path | None, typer.Option(help="A new file for the words, sealed by a passphrase; else they are shown.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Do not seal that file: whoever reads it has the words.")
    ] = False,
    words_file: Annotated[
        Path | None, typer.Option(help="Hand over to these words, which the user has already.")
    ] = None,
    recovery_words_file: Annotated[
        Path | None,
        typer.Option(help="This platform's recovery words, if the account commits to them: hands that key over too."),
    ] = None,
    root_only: Annotated[
        bool, typer.Option("--root-only", help="Leave the recovery key on this platform's paper, which stays stronger.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    yes: Sure = False,
) -> None:
    """Give a hosted user the keys of the account, as 24 words. This node can still write in it, until the user cuts it.

    With the words the user takes the account to another node by `banyan account take`, whatever this node does. If it
    was interrupted, run it again with --words-file and the file that --out wrote.
    """
    from banyan_node.home.recovery import carrier_key, first_recovery, first_root, new_words, root_digest, rotation

    if out is not None and words_file is not None:
        raise BadInput("--out is for new words and --words-file for words that exist; give one of them.")
    if s.out.json and out is None and words_file is None:
        raise BadInput("With --json the words go to a file, so that they are safe before the keys move: give --out.")
    shown = _hosted(s, name)
    who = shown["account"]
    words = new_words() if words_file is None else paper.words_of(words_file, passphrase_file)
    root, recovery = first_root(words), first_recovery(words)
    if shown["keys"][0]["current"] == root_digest(words, 0).hex() and words_file is not None:
        s.out.done({"account": who, "again": True}, f"{name} is handed over to these words already.")
        return
    asked = {
        "root": root.seed.hex(),
        "root_following": root.following.hex(),
        "recovery": recovery.seed.hex(),
        "recovery_following": recovery.following.hex(),
        "carrier": carrier_key(words).hex(),
        "root_only": root_only or None,
    }
    if recovery_words_file is not None:
        text = paper.words_from(recovery_words_file, "")
        if len(shown["keys"]) < 2:
            raise BadInput(f"{name} has no recovery key; leave --recovery-words-file away.")
        asked["platform"] = rotation(text, bytes.fromhex(shown["keys"][1]["next"]))[0].hex()
    s.call("account.handover", account=who, **asked, check=True)  # so that no words are given in vain
    _give(s, name, words, out, plain, passphrase_file, yes, new=words_file is None)
    answer = s.call("account.handover", account=who, **asked)
    file = out or words_file
    s.out.done(
        {**answer, "again": False, "file": None if file is None else str(file.absolute())},
        f"{name} is handed over: its root key is made from the words, and is no key of this node any more.",
    )
    s.out.note(_KEPT if shown["keys"][1:] and shown["keys"][1]["held"] else _WHOSE[answer["recovery"]])
    s.out.note(f"The user takes it on another node: `banyan account take {answer['account']}`.")


def _hosted(s: Session, name: str) -> dict[str, Any]:
    """The answer of `account.show` of an account that is hosted here. Raises BadInput."""
    try:
        shown: dict[str, Any] = s.call("account.show", account=name.strip().removeprefix("@"))
    except CallError as error:
        if error.code not in ("bad_request", "not_found"):
            raise
        shown = {"hosted": False}
    if not shown["hosted"]:
        raise BadInput(f"'{name}' is not hosted here; `banyan account list` shows the accounts that are.")
    return shown


_KEPT = (
    "The recovery key is made from the same words now. It was kept on this node before, so the user has to trust that "
    "nobody uses an older copy of this node."
)
_WHOSE = {
    "words": "The recovery key is made from the same words now; this platform's paper cannot take it back.",
    "platform": "The recovery key is still on this platform's paper: whoever has that can take it back.",
    "elsewhere": "The recovery key is another paper's, such as the user's, and stays stronger than these words.",
    "none": "The account has no recovery key, so whoever has an old root key of it can disturb it.",
}


def _give(
    s: Session, name: str, words: str, out: Path | None, plain: bool, passphrase: Path | None, yes: bool, new: bool
) -> None:
    """The words reach the user, or a file, before the keys move."""
    question = f"Give the root key of {name} away? This node keeps the right to write until the user cuts it."
    if out is not None:
        if out.exists():
            raise BadInput(
                f"{out} exists; name another file, or go on with a handover that was interrupted by --words-file {out}."
            )
        confirm(s, question, yes)
        paper.write_words(out, words, None if plain else paper.passphrase_for(passphrase))
        return
    if new:
        paper.show_words(s.out.console, words.split())
        s.out.console.file.flush()
        s.out.note("These are the user's keys: written down in order, kept off this machine, shown once.")
        question = f"Are they written down? {question}"
    confirm(s, question, yes)


@account_commands.command()
def take(
    s: Session,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id, did:banyan:z...")],
    words_file: paper.WordsFile = None,
    passphrase_file: PassphraseFile = None,
    keep_platform: Annotated[
        bool, typer.Option("--keep-platform", help="Cut no writer: the platform may still write.")
    ] = False,
    own: Annotated[
        bool | None,
        typer.Option("--own/--hosted", help="Write as it from now on, or host it (the default of a platform)."),
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the account to arrive from peers.")] = 120.0,
    incomplete: Incomplete = False,
    yes: Sure = False,
) -> None:
    """Take an account to this node, with the 24 words of `account handover` or of its recovery.

    Its id stays, so followers and posts stay. The old platform is not asked: it is cut off, and nothing that it writes
    later counts. Needs a running node that reaches a peer with the account, or its archive, imported before.
    """
    from banyan_node.home.recovery import carrier, carrier_key

    who = refs.account(s, account)
    words = paper.words_of(words_file, passphrase_file, "The 24 words of the account")
    carrier_key(words)  # bad words are refused before anything is fetched
    _fetch(s, who, wait, incomplete)
    shown = s.call("account.show", account=who)
    if shown["keys"][0]["held"]:
        raise Failed(f"{shown['name'] or who} is on this node already, with its root key; nothing is to be taken.")
    by, seed = _key_for(shown, words)
    writers = {g["writer"] for g in shown["grants"]} - {cut["writer"] for cut in shown["cuts"]}
    here = s.call("id")
    others = writers - {here["writer"], carrier_key(words).hex()}
    keep = sorted(others) if keep_platform else []
    mine = here["role"] != "platform" if own is None else own
    cutting = "cut no writer" if keep_platform else f"cut off {count(len(others), 'other writer')}"
    as_own = ", and write as it from now on" if mine and here["account"] != who else ""
    confirm(s, f"Take {shown['name'] or who} to this node, {cutting}{as_own}?", yes)
    answer = s.call(
        "account.take",
        account=who,
        **{by: seed},
        carrier=carrier(words).hex(),
        keep=keep or None,
        own=mine or None,
        incomplete=incomplete or None,
    )
    cut = count(len(answer["cut"]), "writer")
    kept = f"{count(len(keep), 'writer')} kept" if keep_platform else f"{cut} cut"
    s.out.done({**answer, "own": mine}, f"The account is on this node: its root key is here; {kept}.")
    for writer in answer["uncut"]:
        s.out.note(f"Not cut yet, since nothing of it is here: `banyan account cut {writer} --account {who}` later.")
    if lacking := s.call("account.arrival", account=who)["lacking"]:
        s.out.note(f"{lacking:,} pieces of content are not here yet; they come from peers while this node runs.")
    s.out.note("Next: `banyan keys backup`. Keep the 24 words of the account too: they take it back after a theft.")


def _key_for(shown: dict[str, Any], words: str) -> tuple[str, str]:
    """(recovery or root, seed). The recovery key is stronger, so it is used if the words make it and this node does not
    host the account: taking an account back to the platform goes by the root."""
    from banyan_node.home.recovery import next_root, seed_for
    from banyan_node.operator_errors import WrongWords

    root = next_root(words, bytes.fromhex(shown["keys"][0]["next"]))
    if shown["hosted"] and root is not None:
        return "root", root.hex()
    for key in shown["keys"][1:]:
        try:
            return "recovery", seed_for(words, bytes.fromhex(key["current"])).hex()
        except WrongWords:
            continue
    if root is None:
        raise WrongWords(
            "These words are complete, but no key of this account is made from them, so nothing was changed; find the "
            "paper of this account, or compare its id with the one that the platform told."
        )
    return "root", root.hex()


def _fetch(s: Session, who: str, wait: float, incomplete: bool) -> None:
    """Waits until the account is here, as far as peers say."""
    from banyan_cli.progress import waiting

    if s.node() is None:
        if not s.call("account.arrival", account=who)["held"]:
            raise BadInput(
                f"{who} is not held here: `banyan up --bootstrap ADDRESS` in another terminal fetches it, or "
                "`banyan import archive FILE` brings it; then run this again."
            )
        return
    s.call("account.await", account=who)
    until, steady, lonely = time.monotonic() + wait, 0, 0
    with waiting(s.out.notes, "fetching the account"):
        while True:
            at = s.call("account.arrival", account=who)
            whole = at["held"] and at["compared"] and not at["behind"]
            steady = steady + 1 if whole else 0
            if steady >= STEADY or (incomplete and at["held"]):
                return
            lonely = lonely + 1 if at["held"] and not at["peers"] else 0
            if time.monotonic() >= until or lonely >= ALONE:
                break
            time.sleep(POLL_SECONDS)
    if not at["held"] or at["peers"]:
        raise Failed(_missing(at, who, wait))
    s.out.note(
        f"No peer is linked, so nobody can say whether {who} is complete: {at['entries']:,} entries of it are here, "
        "and of a writer that is cut only these stay."
    )


def _missing(at: dict[str, Any], who: str, wait: float) -> str:
    if not at["peers"]:
        return f"No peer is linked, so {who} cannot come: `banyan peers add ADDRESS`, then run this again."
    if not at["held"]:
        return (
            f"No linked peer gave {who} in {wait:.0f} s: link one that holds it, or import its archive; run this again."
        )
    return (
        f"{at['entries']:,} entries of {who} are here and {at['behind']:,} more are claimed by a peer; run this again, "
        "or say --incomplete: of a platform that is cut off only what is here stays."
    )
