"""Making a node: its folder, its settings, its keys, and the account that it writes as.

The invariants: keys are made once and never overwritten. A home with keys also has an account, or gets one at the next
start. What fails leaves the home as it was; ctrl-C waits until the node is made, which takes less than a second.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from banyan_cli.errors import BadInput
from banyan_node.home.folder import Home
from banyan_node.operator_errors import KeysExist


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
    return {
        "home": str(home.path),
        "account": made["account"],
        "name": made["name"],
        "sealed": passphrase is not None,
    }


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
