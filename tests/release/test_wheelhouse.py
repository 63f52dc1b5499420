"""A wheel with other metadata says so, and keeps all else."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest

from release.wheelhouse import relax

METADATA = """Metadata-Version: 2.4
Name: figs
Version: 1.2
License-Expression: MIT
License-File: LICENSE
Requires-Dist: stone==2.3.2; sys_platform != "win32"
Requires-Dist: stonework>=1

Version: 1.2 of the figs, which ask for nothing.
Requires-Dist: stone==2.3.2
"""


def wheel(folder: Path) -> Path:
    path = folder / "figs-1.2-py3-none-any.whl"
    with ZipFile(path, "w") as made:
        made.writestr("figs/__init__.py", "EATEN = 3\n")
        made.writestr("figs-1.2.dist-info/METADATA", METADATA)
        made.writestr("figs-1.2.dist-info/licenses/LICENSE", "Take them.\n")
        made.writestr("figs-1.2.dist-info/RECORD", "figs/__init__.py,sha256=x,1\n")
    return path


def test_a_relaxed_wheel_asks_for_something_else_is_marked_and_keeps_its_licence(tmp_path: Path) -> None:
    made = relax(wheel(tmp_path), {"stone": "stone>=4"}, "The old one is heavy.")
    assert made.name == "figs-1.2+banyan.1-py3-none-any.whl"
    with ZipFile(made) as found:
        info = "figs-1.2+banyan.1.dist-info"
        said = found.read(f"{info}/METADATA").decode()
        asked = METADATA.replace("\nVersion: 1.2\n", "\nVersion: 1.2+banyan.1\n", 1)
        assert said == asked.replace('stone==2.3.2; sys_platform != "win32"', 'stone>=4; sys_platform != "win32"')
        assert found.read("figs/__init__.py") == b"EATEN = 3\n"
        assert found.read(f"{info}/licenses/LICENSE") == b"Take them.\n"
        notice = found.read(f"{info}/CHANGED").decode()
        assert "not by the authors of figs" in notice
        assert '`stone==2.3.2; sys_platform != "win32"` became `stone>=4; sys_platform != "win32"`' in notice
        assert "The old one is heavy." in notice
        rows = [line.split(",") for line in found.read(f"{info}/RECORD").decode().splitlines()]
        assert {row[0] for row in rows} == set(found.namelist())
        for name, digest, size in rows[:-1]:
            data = found.read(name)
            assert int(size) == len(data)
            assert digest == "sha256=" + base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
        assert rows[-1] == [f"{info}/RECORD", "", ""]


def test_what_a_wheel_does_not_ask_for_cannot_be_relaxed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version 1\.2 does not ask for sand"):
        relax(wheel(tmp_path), {"sand": "sand>=4"}, "")


def test_one_wheel_is_relaxed_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    given = wheel(tmp_path)
    made = [relax(given, {"stone": "stone>=4"}, "x").read_bytes() for _ in range(2)]
    assert made[0] == made[1]
