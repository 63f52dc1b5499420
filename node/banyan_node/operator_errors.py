"""Errors that the person who runs a node can fix. The command line prints the sentence of each unchanged.

OperatorError
 ├── HomeError      the home folder cannot be made or read
 ├── KeystoreError
 │    ├── NoKeys            there is no keys file yet
 │    ├── KeysExist         a keys file exists and would have been lost
 │    ├── KeysExposed       others on this machine can read the keys file
 │    ├── KeysUnreadable    the file is damaged, or of a newer format
 │    ├── KeysLocked        a passphrase is needed and was not given
 │    ├── WrongPassphrase   the passphrase does not open the file
 │    ├── BadBackup         the 24 words are incomplete or misspelt
 │    └── WrongWords        the 24 words are those of another account
 ├── ConfigError    a setting is unknown or its value is not allowed
 └── ControlError
      ├── PortBusy          another program uses the control address
      ├── NoNode            no running node answers for this home
      │    └── CopiedHome   this home was copied from that of a running node
      └── CallError         the node refused a call
"""

from collections.abc import Mapping
from functools import partial
from typing import Any


class OperatorError(Exception):
    """Base of all errors that a person can fix by changing a file, a flag or the machine."""


class HomeError(OperatorError):
    """The home folder cannot be made or read."""


class KeystoreError(OperatorError):
    """Base of all errors of the keys file and of written words."""


class NoKeys(KeystoreError):
    """There is no keys file."""


class KeysExist(KeystoreError):
    """A keys file exists and is not overwritten."""


class KeysExposed(KeystoreError):
    """Others than its owner can read the keys file."""


class KeysUnreadable(KeystoreError):
    """The keys file is damaged or of an unknown format."""


class KeysLocked(KeystoreError):
    """The master secret is sealed and no passphrase was given."""


class WrongPassphrase(KeystoreError):
    """The passphrase does not open the keys file."""


class BadBackup(KeystoreError):
    """The words do not encode a secret."""


class WrongWords(KeystoreError):
    """The words are valid, but the account commits to another recovery key."""


class ConfigError(OperatorError):
    """A setting is unknown, or its value is not allowed."""


class ControlError(OperatorError):
    """Base of all errors between a running node and its clients."""


class PortBusy(ControlError):
    """Another program uses the control address."""


class NoNode(ControlError):
    """No running node answers for this home."""


class CopiedHome(NoNode):
    """The home is a copy; its control.json names the node of the original."""


class CallError(ControlError):
    """A refused call. code: a word for programs. status: the HTTP status, 400..599. more: further fields of the answer,
    as JSON values."""

    def __init__(self, code: str, message: str, status: int = 400, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.more = more or {}
        self.code = code
        self.message = message
        self.status = status


bad_request = partial(CallError, "bad_request", status=400)
not_found = partial(CallError, "not_found", status=404)
conflict = partial(CallError, "refused", status=409)
forbidden = partial(CallError, "refused", status=403)
"""Refusals by a sentence. conflict: the state of an account or of this node forbids it. forbidden: who asks does."""
