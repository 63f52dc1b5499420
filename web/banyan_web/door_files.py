"""Files on their way through the door: what was sent and is no blob yet, archives that are not sent yet.

Each process has a folder of its own in `door.files`, named by its process id. It goes with the process: whoever ends in
order removes it, the node removes that of a worker that was killed, and all of them when it starts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from banyan_node.home.folder import Home
from banyan_storage.lmdb_folder import make_folder

PIECE = 256 << 10


class DoorFiles:
    """Those of this process. Any thread. All are its user's alone. Raises OSError."""

    def __init__(self, home: Home) -> None:
        self.home, self._folder = home, folder_of(home, os.getpid())
        make_folder(home.door_files)
        make_folder(self._folder)

    def copied(self, file: IO[bytes]) -> Path:
        """A new file with the bytes of this one, from its begin."""
        file.seek(0)
        with tempfile.NamedTemporaryFile(prefix="upload-", dir=self._folder, delete=False) as made:
            try:
                shutil.copyfileobj(file, made, PIECE)
            except BaseException:
                Path(made.name).unlink(missing_ok=True)
                raise
        return Path(made.name)

    def written(self, raw: bytes) -> Path:
        """A new file with these bytes."""
        handle, name = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        return Path(name)

    def made_folder(self) -> Path:
        """A new folder."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def close(self) -> None:
        """Removes all of them."""
        remove(self._folder)


def folder_of(home: Home, process: int) -> Path:
    """That of a process."""
    return home.door_files / str(process)


def remove(folder: Path) -> None:
    """With all that is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
