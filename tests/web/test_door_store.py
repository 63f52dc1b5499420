"""The file of the door, where several processes open it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from banyan_web.door_store import DoorStore
from tests.needs import ROOT


def test_processes_that_open_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from banyan_web.door_store import DoorStore\n"
        "folder = Path(sys.argv[1]); (folder / f'{sys.argv[2]}.ready').touch()\n"
        "while len(list(folder.glob('*.ready'))) < 4: time.sleep(0.001)\n"
        "for n in range(150): DoorStore(folder / f'{n}.db').close()"
    )
    each = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(n)], cwd=ROOT) for n in range(4)]
    assert [one.wait(120) for one in each] == [0] * 4
    store = DoorStore(tmp_path / "0.db")
    assert store.token(store.mint(None, "test", ("read",))) is not None
    store.close()
