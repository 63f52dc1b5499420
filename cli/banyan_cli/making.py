"""Making a node: its folder, its settings, its keys, and the account that it writes as.

The invariant: keys are made once and never overwritten. A home with keys also has an account, or gets one at the next
start.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    home: Home, settings: Mapping[str, Any], passphrase: str | None, recovery: str | None = None
) -> dict[str, Any]:
    """settings: name -> typed value, written into config.toml. recovery: a commitment; without one the key is kept.

    Raises KeysExist, HomeError, KeystoreError.
    """
    from banyan_node.home.keystore import Keystore
    from banyan_node.home.settings import load, set_in_file
    from banyan_node.local import open_local

    refuse_a_second_node(home)
    home.prepare()
    home.restored.unlink(missing_ok=True)  # of a `keys restore` that was interrupted
    for name, value in settings.items():
        set_in_file(home.config, name, value)
    loaded = load(home)
    Keystore.create(home.keys, passphrase)
    with open_local(home, loaded, passphrase) as store:
        made = store.call("account.create", name=loaded.config.node.name, hosted=False, recovery=recovery)
    return {
        "home": str(home.path),
        "account": made["account"],
        "name": made["name"],
        "sealed": passphrase is not None,
    }
