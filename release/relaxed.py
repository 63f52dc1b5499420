"""A wheel whose metadata asks for something else, marked as changed: a local version (PEP 440), and CHANGED beside
its licences, which stay. Every other file is the same, byte for byte."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

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
