"""Which keys are stolen: where the thief speaks with them, and what the owner can say against it.

A thief's `opening` are control entries, each on the one before, the first on `honest[:at]` (None: the end). After
them he speaks for the branch with the key `speaks`. The owner's `answer` stands on her whole honest control log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from banyan_crdt.entry import Entry
from banyan_crdt.ops import Op, Recover, Rotate
from tests.thefts.scene import Scene

Said = list[tuple[str, Op]]
ROOT, RECOVERY = 0, 1


@dataclass(frozen=True, slots=True)
class Thief:
    """One row group: the keys, the account they are of, and the answer to their use."""

    name: str
    setup: dict[str, Any] = field(default_factory=dict)
    device: bool = False
    notary: bool = False
    witness: str = ""
    """The device whose key signs a newer checkpoint for what he says."""
    at: int | None = None
    opening: Callable[[Scene], Said] = lambda s: []
    speaks: Callable[[Scene], str] | None = None
    answer: Callable[[Scene], Said] = lambda s: []
    stronger: bool = True
    """Whether the owner has a key that ranks above the thief's where he branched: then all must come back."""
    why: str = ""
    """Where she has none: one sentence for the page."""
    checkpoint: bool = False
    """Whether a checkpoint of the control head would decide it: it is about a vertex long below."""
    home_gone: bool = False
    """Whether the owner's own node is no help: it belongs to the thief."""


def _rotate(s: Scene, slot: int, by: str) -> tuple[str, Op]:
    return by, Rotate(slot, s.person.digest(s.fresh_key()))


def _recover(s: Scene, by: str) -> tuple[str, str, Op]:
    """(name of the new root key, who signs, the operation)."""
    new = s.fresh_key()
    return new, by, Recover(s.person.digest(new), s.person.digest(s.fresh_key()))


def last_of(s: Scene) -> Entry:
    return s.log[-1]


def cut_device(s: Scene, by: str) -> Said:
    return [(by, s.person.cut("phone", last_of(s)))]


def _by_root(s: Scene) -> Said:
    return cut_device(s, s.key(ROOT))


def _by_root_against_notary(s: Scene) -> Said:
    """A pin in the control log speaks before every notary."""
    by = s.key(ROOT)
    return [(by, s.person.pin(last_of(s))), (by, s.person.cut("notary"))]


def _by_next_root(s: Scene) -> Said:
    return [_rotate(s, ROOT, s.next_key(ROOT))]


def _by_recovery(s: Scene) -> Said:
    _, by, op = _recover(s, s.key(RECOVERY))
    return [(by, op)]


def _by_recovery_then_cut(s: Scene) -> Said:
    new, by, op = _recover(s, s.key(RECOVERY))
    return [(by, op), *cut_device(s, new)]


def _by_next_recovery(s: Scene) -> Said:
    """It replaces the stolen recovery key, then the root that the thief may have had it install."""
    _, by, op = _recover(s, s.next_key(RECOVERY))
    return [_rotate(s, RECOVERY, s.next_key(RECOVERY)), (by, op)]


def _by_all_of_recovery(s: Scene) -> Said:
    """All that she can write if the thief can write it too."""
    new, by, op = _recover(s, s.next_key(RECOVERY))
    return [_rotate(s, RECOVERY, by), (by, op), *cut_device(s, new)]


def _open_recover(s: Scene, by: str) -> Said:
    return [(by, Recover(s.person.digest("thief0"), s.person.digest("thief1")))]


def _open_everything(s: Scene) -> Said:
    key = s.next_key(RECOVERY)
    return [_rotate(s, RECOVERY, key), *_open_recover(s, key)]


def _open_old_recovery(s: Scene) -> Said:
    return [_rotate(s, RECOVERY, "rec1"), *_open_recover(s, "rec1")]


_TWICE: dict[str, Any] = {"rotations": (ROOT, ROOT)}
_TWICE_RECOVERY: dict[str, Any] = {"rotations": (RECOVERY, RECOVERY)}
_TIE = "it ties where it was the next key; only a higher slot ranks above it there"

DEVICE = Thief("device", device=True, answer=_by_root)
NOTARY = Thief(
    "notary and device",
    setup={"notary": True},
    device=True,
    notary=True,
    answer=lambda s: [*_by_root_against_notary(s), *cut_device(s, s.key(ROOT))],
)
NOTARY_ALONE = Thief("notary", setup={"notary": True}, notary=True, answer=_by_root_against_notary)
CURRENT = Thief("current root", speaks=lambda s: s.key(ROOT), answer=_by_next_root)
CURRENT_ONCE_NEXT = Thief(
    "current root, used where it was the next one",
    checkpoint=True,
    setup=_TWICE,
    at=2,
    opening=lambda s: [_rotate(s, ROOT, s.key(ROOT))],
    speaks=lambda s: s.key(ROOT),
    answer=_by_recovery,
)
NEXT = Thief(
    "root and next root",
    opening=lambda s: [_rotate(s, ROOT, s.next_key(ROOT))],
    speaks=lambda s: s.next_key(ROOT),
    answer=_by_recovery,
)
OLD_CURRENT = Thief("old root, never a next key", setup=_TWICE, at=1, speaks=lambda s: "root0")
OLD_NEXT = Thief(
    "old root, once the next key",
    checkpoint=True,
    setup=_TWICE,
    at=1,
    opening=lambda s: [_rotate(s, ROOT, "root1")],
    speaks=lambda s: "root1",
    answer=_by_recovery,
)
_WITNESS: dict[str, Any] = {**_TWICE, "checkpoint": True}
OLD_NEXT_RETIRED = Thief(
    "old root, once the next key; the one witness was cut off since",
    setup={**_WITNESS, "witnesses": ("tablet",), "retired": True},
    at=1,
    opening=lambda s: [_rotate(s, ROOT, "root1")],
    speaks=lambda s: "root1",
)
OLD_NEXT_AND_DEVICE = Thief(
    "old root, once the next key, and the device that is the one witness",
    setup=_WITNESS,
    witness="phone",
    at=1,
    opening=lambda s: [_rotate(s, ROOT, "root1")],
    speaks=lambda s: "root1",
    answer=_by_recovery_then_cut,
)
OLD_NEXT_AND_ONE_OF_TWO = replace(
    OLD_NEXT_AND_DEVICE,
    name="old root, once the next key, and one device of two witnesses",
    setup={**_WITNESS, "witnesses": ("phone", "tablet")},
)
OLD_NEXT_AND_RETIRED = replace(
    OLD_NEXT_AND_DEVICE,
    name="old root, once the next key, and a device that is the one witness and was cut off since",
    setup={**_WITNESS, "witnesses": ("tablet",), "retired": True},
    witness="tablet",
    answer=_by_recovery,
)
OLD_NEXT_SEALED = Thief(
    "old root, once the next key; the owner has recovered since",
    setup={**_TWICE, "recovered": True},
    at=1,
    opening=lambda s: [_rotate(s, ROOT, "root1")],
    speaks=lambda s: "root1",
)
OLD_NEXT_ALONE = Thief(
    "old root, once the next key; the recovery key is lost",
    checkpoint=True,
    setup=_TWICE,
    at=1,
    opening=lambda s: [_rotate(s, ROOT, "root1")],
    speaks=lambda s: "root1",
    answer=_by_next_root,
    stronger=False,
    why=_TIE + ", and the owner has lost it. The next root key has no rank there.",
)
RECOVERY_KEY = Thief(
    "recovery key",
    opening=lambda s: _open_recover(s, s.key(RECOVERY)),
    speaks=lambda s: "thief0",
    answer=_by_next_recovery,
)
OLD_RECOVERY = Thief(
    "old recovery key, never a next key",
    setup=_TWICE_RECOVERY,
    at=1,
    opening=lambda s: _open_recover(s, "rec0"),
    speaks=lambda s: "thief0",
)
OLD_RECOVERY_NEXT = Thief(
    "old recovery key, once the next key",
    checkpoint=True,
    setup=_TWICE_RECOVERY,
    at=1,
    opening=_open_old_recovery,
    speaks=lambda s: "thief0",
    answer=_by_next_recovery,
    stronger=False,
    why=_TIE + ", and no slot is higher than the recovery key.",
)
HOME = Thief(
    "home folder (device, root, next root)",
    device=True,
    opening=NEXT.opening,
    speaks=NEXT.speaks,
    answer=_by_recovery_then_cut,
)
HOME_ALL = Thief(
    "home folder made with --keep-recovery",
    device=True,
    opening=_open_everything,
    speaks=lambda s: "thief0",
    answer=_by_all_of_recovery,
    stronger=False,
    why="the thief has the highest recovery key and its next one. The owner's use of it only ties, and the account is "
    "frozen for good. What counted before is shown again, because an account counts up to where it froze. A cut helps "
    "as long as he has used only the device.",
)
PLATFORM = Thief(
    "hosting platform (device, root, next root)",
    device=True,
    opening=NEXT.opening,
    speaks=NEXT.speaks,
    answer=_by_recovery_then_cut,
    home_gone=True,
)
THIEVES = [
    DEVICE,
    NOTARY_ALONE,
    NOTARY,
    CURRENT,
    CURRENT_ONCE_NEXT,
    NEXT,
    OLD_CURRENT,
    OLD_NEXT,
    OLD_NEXT_RETIRED,
    OLD_NEXT_AND_DEVICE,
    OLD_NEXT_AND_ONE_OF_TWO,
    OLD_NEXT_AND_RETIRED,
    OLD_NEXT_SEALED,
    OLD_NEXT_ALONE,
    RECOVERY_KEY,
    OLD_RECOVERY,
    OLD_RECOVERY_NEXT,
    HOME,
    HOME_ALL,
    PLATFORM,
]
