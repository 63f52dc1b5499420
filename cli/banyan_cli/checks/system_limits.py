"""What the system allows a node: open files, address space, and a disk that LMDB can use."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from banyan_node.home.config import Config

SPARE = 256
"""Files beside the connections: the store, blobs, threads, libraries."""
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "fuse.s3fs", "afs", "ceph", "glusterfs")
"""File systems whose locks and mapped pages LMDB must not rely on."""


def open_files(config: Config, doors: bool, pid: int | None) -> tuple[bool | None, str]:
    """Whether all connections that the settings allow can be open. doors: whether HTTP is served. pid: of the node that
    runs; None: this process stands for it."""
    limits = config.limits
    needed = limits.peers + limits.arriving + config.control.connections + SPARE
    needed += config.http.connections * doors
    most = _most_files(pid)
    if most is None:
        return None, "How many files may be open cannot be told on this system."
    if most < needed:
        return False, (
            f"{most:,} files may be open, and the settings allow connections that need {needed:,}; raise it "
            "(`ulimit -Hn`, LimitNOFILE= of the unit), or lower limits.peers or http.connections."
        )
    return True, f"{_many(most)} files may be open, and {needed:,} are needed at most."


def _many(most: float) -> str:
    return "Any number of" if most == float("inf") else f"{most:,}"


def _most_files(pid: int | None) -> float | None:
    """The hard limit: a node raises its own to it."""
    if pid is not None:
        try:
            found = re.search(r"^Max open files +\S+ +(\S+)", Path(f"/proc/{pid}/limits").read_text(), re.MULTILINE)
        except OSError:
            found = None
        if found:
            return float("inf") if found[1] == "unlimited" else int(found[1])
    if sys.platform == "win32":
        return None
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return float("inf") if hard == resource.RLIM_INFINITY else hard


def store_map(folder: Path) -> tuple[bool | None, str]:
    """Whether the store can be mapped: LMDB reserves address space, and needs a disk of this machine."""
    kind = _file_system(folder)
    if kind in REMOTE:
        return (
            False,
            f"{folder} is on {kind}, whose locks a store cannot rely on; move the home to a disk of this machine.",
        )
    if sys.platform != "win32":
        import resource

        from banyan_storage.lmdb_engine import ADDRESS_SPACE  # commands that open no store load none of it

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most not in (-1, resource.RLIM_INFINITY) and most < ADDRESS_SPACE:
            return False, (
                f"This process may have {most >> 30:,} GiB of address space, and the store reserves "
                f"{ADDRESS_SPACE >> 30:,} GiB, which use no memory; `ulimit -v unlimited` allows it."
            )
    return True, f"The store may be mapped{f', on {kind}' if kind else ''}; it grows by itself up to the disk."


def _file_system(folder: Path) -> str:
    """The type of the file system of a folder, or nothing where that is not told."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    where, found = str(folder.resolve()) + "/", ("", "")
    for line in lines:
        _, mounted, kind, *_ = line.split(" ")
        mounted = mounted.replace("\\040", " ").rstrip("/") + "/"
        if where.startswith(mounted) and len(mounted) >= len(found[0]):
            found = (mounted, kind)
    return found[1]
