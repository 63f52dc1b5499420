"""Collects the wheels of all that a node needs, as uv.lock has them, so that plain pip installs them without a network.

The invariant: what is downloaded has the hash of the lock, and what comes out is written down with its hash
(requirements-3.11.txt and its like, for `pip install --require-hashes`).
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# A wheel whose metadata asks for something else, marked as changed: a local version (PEP 440), and CHANGED beside its
# licences, which stay. Every other file is the same, byte for byte.

MARK = "+banyan.1"
"""Appended to the version. A requirement such as `==0.8.1` is met by it."""
_DATE = (1980, 1, 1, 0, 0, 0)


def relax(wheel: Path, asks: Mapping[str, str], why: str) -> Path:
    """Writes the changed wheel beside the given one. Returns its path.

    asks: name of a requirement -> what stands in its place, with the same marker. why: said in CHANGED. Raises
    ValueError if the wheel does not ask for one of them."""
    name, version, *tags = wheel.name.removesuffix(".whl").split("-")
    new = f"{version}{MARK}"
    before, after = f"{name}-{version}.dist-info/", f"{name}-{new}.dist-info/"
    target = wheel.with_name("-".join((name, new, *tags)) + ".whl")
    rows: list[str] = []
    with ZipFile(wheel) as old, ZipFile(target, "w", ZIP_DEFLATED) as made:

        def put(path: str, data: bytes, like: ZipInfo | None) -> None:
            about = ZipInfo(path, _DATE if like is None else like.date_time)
            about.compress_type = ZIP_DEFLATED
            about.external_attr = 0o644 << 16 if like is None else like.external_attr
            made.writestr(about, data)
            digest = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(data)}")

        for item in old.infolist():
            data, path = old.read(item), item.filename.replace(before, after, 1)
            if path == f"{after}RECORD":
                continue
            if path == f"{after}METADATA":
                changed, said = _asking(data.decode(), version, new, asks)
                put(path, changed.encode(), item)
                put(f"{after}CHANGED", _notice(name, version, new, said, why).encode(), None)
            else:
                put(path, data, item)
        record = ZipInfo(f"{after}RECORD", _DATE)
        record.compress_type, record.external_attr = ZIP_DEFLATED, 0o644 << 16
        made.writestr(record, "\n".join([*rows, f"{after}RECORD,,", ""]))
    return target


def _asking(metadata: str, version: str, new: str, asks: Mapping[str, str]) -> tuple[str, list[str]]:
    """The changed metadata, and a line for each requirement that changed."""
    head, blank, body = metadata.partition("\n\n")
    lines, said, missing = [], list[str](), set(asks)
    for line in head.split("\n"):
        kind, _, value = line.partition(": ")
        if kind == "Version":
            assert value == version, f"the metadata is of {value}"
            line = f"Version: {new}"
        elif kind == "Requires-Dist":
            asked = re.split(r"[^A-Za-z0-9._-]", value, maxsplit=1)[0].lower()
            if asked in asks:
                marker = value.partition(";")[2]
                line = f"Requires-Dist: {asks[asked]}" + (f";{marker}" if marker else "")
                said.append(f"`{value}` became `{line.partition(': ')[2]}`")
                missing.discard(asked)
        lines.append(line)
    if missing:
        raise ValueError(f"version {version} does not ask for {', '.join(sorted(missing))}")
    return "\n".join(lines) + blank + body, said


def _notice(name: str, version: str, new: str, said: list[str], why: str) -> str:
    changes = "\n".join(f"- {line}" for line in said)
    return (
        f"# Changed\n\nThis is {name} {version} with other metadata, made by Banyan and not by the authors of {name}.\n"
        f"Its version is {new}. In METADATA:\n\n{changes}\n- the version\n\n{why}\n"
        "All other files are those of the original; RECORD was made anew. The licences are in `licenses/`.\n"
    )


ROOT = Path(__file__).parents[1]
PIP = "pip>=25"
FASTECDSA = (
    "fastecdsa 2.3.2 has no wheel and needs gcc and libgmp; later versions have wheels. libp2p uses it for keys of\n"
    "the NIST curves alone, which Banyan never makes."
)


def build(into: Path, pythons: tuple[str, ...] = ()) -> Path:
    """Builds the wheelhouse in a new folder. pythons: versions such as 3.12, each on this machine; none: this one's.

    Raises CalledProcessError, FileExistsError."""
    into.mkdir(parents=True)
    env = environment() | {"CC": "/bin/false", "CXX": "/bin/false", "SOURCE_DATE_EPOCH": _time_of_tree()}
    locked = into / "locked.txt"
    _run(
        *("uv", "export", "--quiet", "--locked", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"),
        *("--format", "requirements.txt", "--output-file", str(locked)),
        env=env,
    )
    needed: dict[str, list[str]] = {}
    for python in pythons or (f"{sys.version_info[0]}.{sys.version_info[1]}",):
        part = into / python
        pip = ("uv", "run", "--quiet", "--no-project", "--python", python, "--with", PIP, "python", "-m", "pip")
        _run(
            *pip,
            "wheel",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--wheel-dir",
            str(part),
            "-r",
            str(locked),
            env=env,
        )
        needed[python] = [wheel.name for wheel in part.glob("*.whl")]
        for wheel in part.glob("*.whl"):
            wheel.replace(into / wheel.name)
        part.rmdir()
    locked.unlink()
    (libp2p,) = into.glob("libp2p-*.whl")
    changed = relax(libp2p, {"fastecdsa": "fastecdsa>=4"}, FASTECDSA)
    libp2p.unlink()
    _run("uv", "build", "--quiet", "--wheel", "--out-dir", str(into), env=env)
    (into / ".gitignore").unlink(missing_ok=True)
    (ours,) = into.glob("banyan_social-*.whl")
    for python, names in needed.items():
        wheels = [ours, changed, *(into / name for name in names if name != libp2p.name)]
        (into / f"requirements-{python}.txt").write_text("".join(map(_line, sorted(wheels))))
    (into / "overrides.txt").write_text("fastecdsa>=4\n")
    shutil.copytree(ROOT / "deploy", into / "deploy")
    return into


def environment() -> dict[str, str]:
    """This one's, without what would lead uv and pip to other packages."""
    return {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PIP_FIND_LINKS")}


def _line(wheel: Path) -> str:
    """A requirement that this file alone meets."""
    name, version, *_ = wheel.name.split("-")
    return f"{name.replace('_', '-')}=={version} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"


def _time_of_tree() -> str:
    """Of the last commit: the wheel of one tree is the same bytes each time."""
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "315532800"


def _run(*command: str, env: dict[str, str]) -> None:
    subprocess.run(command, cwd=ROOT, env=env, check=True, stdin=subprocess.DEVNULL)
