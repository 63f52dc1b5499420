"""What the person who runs a node can put right: each error is one sentence that the command line prints as it is.

OperatorError
 ├── HomeError      the node's folder cannot be made or read
 ├── KeystoreError
 │    ├── NoKeys            there is no keys file yet
 │    ├── KeysExist         a keys file is there and would have been lost
 │    ├── KeysExposed       others on this machine can read the keys file
 │    ├── KeysUnreadable    the file is damaged, or of a newer format
 │    ├── KeysLocked        a passphrase is needed and was not given
 │    ├── WrongPassphrase   the one given does not open the file
 │    ├── BadBackup         24 words that are incomplete or misspelt
 │    └── WrongWords        24 sound words of another account
 ├── ConfigError    a setting is unknown or its value is not allowed
 └── ControlError
      ├── PortBusy          the control address is taken by another program
      ├── NoNode            nobody answers for this home
      │    └── CopiedHome   this home was copied from that of a running node
      └── CallError         a running node refused what it was asked
"""


class OperatorError(Exception):
    """Root of everything that its reader can put right by changing a file, a flag or the machine."""


class HomeError(OperatorError):
    """The node's folder cannot be made or read."""


class KeystoreError(OperatorError):
    """Root of what goes wrong with the keys file."""


class NoKeys(KeystoreError):
    """There is no keys file."""


class KeysExist(KeystoreError):
    """A keys file exists and is never written over."""


class KeysExposed(KeystoreError):
    """The keys file may be read by more than its owner."""


class KeysUnreadable(KeystoreError):
    """The keys file is damaged or of an unknown format."""


class KeysLocked(KeystoreError):
    """The master secret is sealed and no passphrase was given."""


class WrongPassphrase(KeystoreError):
    """The passphrase does not open the keys file."""


class BadBackup(KeystoreError):
    """The words do not encode a secret."""


class WrongWords(KeystoreError):
    """The words are sound, and not those of the recovery key that the account commits to."""


class ConfigError(OperatorError):
    """A setting is unknown, or its value is not allowed."""


class ControlError(OperatorError):
    """Root of what goes wrong between a running node and those who talk to it."""


class PortBusy(ControlError):
    """The control address belongs to another program."""


class NoNode(ControlError):
    """No node answers for this home."""


class CopiedHome(NoNode):
    """The home is a copy, and what it says of a running node is about the original."""


class CallError(ControlError):
    """A call that was refused. code: a word programs compare. status: the HTTP status, 400..599."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
