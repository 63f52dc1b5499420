"""The parameters of a charter as people write them: a TOML file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from banyan_charter.values import Authority, Parameters, Scope, parameters_of, plain_parameters
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, account_from_text
from banyan_node.alliance.papers import BadPaper


class _Role(msgspec.Struct, forbid_unknown_fields=True):
    account: str
    scopes: list[str]
    cap: int


class _Scope(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    members: list[str]
    judges: list[str]


class _ParametersFile(msgspec.Struct, forbid_unknown_fields=True):
    quota: int = Parameters().quota
    hourly: int = Parameters().hourly
    labellers: list[str] = []
    authorities: list[_Role] = []
    duties: list[str] = []
    scopes: list[_Scope] = []
    witnesses: int = Parameters().witnesses


def parameters_from(path: Path | None) -> Parameters:
    """What the file says, defaults for what it leaves out, and without one. Raises BadPaper with a sentence, also for a
    misspelt key."""
    if path is None:
        return Parameters()
    try:
        said = msgspec.toml.decode(path.read_bytes(), type=_ParametersFile)
        roles = (Authority(account_from_text(one.account), _names(one.scopes), one.cap) for one in said.authorities)
        scopes = (Scope(one.name.encode(), _accounts(one.members), _accounts(one.judges)) for one in said.scopes)
        made = Parameters(
            said.quota,
            said.hourly,
            _accounts(said.labellers),
            tuple(sorted(roles)),
            _names(said.duties),
            tuple(sorted(scopes)),
            said.witnesses,
        )
        return parameters_of(plain_parameters(made))
    except OSError as error:
        raise BadPaper(f"{path} cannot be read ({error.strerror}).") from error
    except (msgspec.MsgspecError, ValueError, Malformed) as why:
        raise BadPaper(f"{path}: {why}.") from None


def _accounts(texts: list[str]) -> tuple[AccountId, ...]:
    return tuple(sorted(map(account_from_text, texts)))


def _names(texts: list[str]) -> tuple[bytes, ...]:
    return tuple(sorted(map(str.encode, texts)))
