"""Programs of other systems: installed from the npm registry outside of this tree, run as pairs of processes.

The versions are those of bench/peers/package-lock.json, Node.js among them where the registry has it for this machine.
What was installed stays in a folder named by a digest of that file, so it is done once; a half-made one has another
name. Install scripts are not run: every native part comes built, inside its package.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from bench.harness import ROOT, BenchError, say

PROGRAMS = ROOT / "bench" / "peers"
LEAST_NODE = 22
INSTALL_S = 900.0
ANSWER_S = 900.0


class Installed(NamedTuple):
    """Where the programs run: the folder with node_modules, the Node.js that runs them, versions by package."""

    folder: Path
    node: str
    node_version: str
    versions: dict[str, str]


class CaughtUp(NamedTuple):
    """One fresh reader's way. seconds: from the dial to all held; stored: bytes on the reader's disk."""

    seconds: float
    reader_cpu_s: float
    writer_cpu_s: float
    stored: int


def install(folder: Path | None) -> Installed:
    """Installs into `folder`, or the user's cache. Raises BenchError: no npm, no registry, an old Node.js."""
    manifest, lock = PROGRAMS / "package.json", PROGRAMS / "package-lock.json"
    digest = hashlib.sha256(manifest.read_bytes() + lock.read_bytes()).hexdigest()[:12]
    home = (folder or platformdirs.user_cache_path("banyan-bench")).resolve()
    if home.is_relative_to(ROOT):
        raise BenchError(f"{home} lies in {ROOT}, and node_modules stays out of it; name another folder with --folder")
    place = home / f"npm-{digest}"
    if not place.exists():
        _npm_ci(place, [manifest, lock])
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, place)  # Node.js looks for packages from where a program lies
    node, version = _node(place)
    return Installed(place, node, version, json.loads(manifest.read_text("utf-8"))["dependencies"])


def _npm_ci(place: Path, files: list[Path]) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError(
            "npm is not on the PATH, and other systems are installed with it; install Node.js, which brings it"
        )
    say(f"installing other systems into {place} (about 700 MB, once)")
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    draft.mkdir(parents=True)
    try:
        for file in files:
            shutil.copy(file, draft)
        flags = ("--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund")
        done = subprocess.run([npm, "ci", *flags], cwd=draft, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            said = _reason(done.stderr)
            raise BenchError(f"npm ci failed with code {done.returncode}; it needs the npm registry; npm said: {said}")
        draft.rename(place)
    except subprocess.TimeoutExpired:
        raise BenchError(f"npm ci took longer than {INSTALL_S:.0f} s; it needs the npm registry; try again") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _reason(stderr: str) -> str:
    """The first line in which npm says what is wrong rather than where."""
    said = [x.removeprefix("npm error ").strip() for x in stderr.splitlines() if x.startswith("npm error ")]
    telling = [x for x in said if not re.match(r"(code|errno|syscall|path|network) \S+$", x)]
    return (telling or said or ["nothing"])[0].rstrip(".")


def _node(place: Path) -> tuple[str, str]:
    """The Node.js that came with the packages, else the one on the PATH."""
    came = sorted(place.glob("node_modules/node-*/bin/node"))
    node = str(came[0]) if came else shutil.which("node")
    if node is None:
        raise BenchError("node is not on the PATH; install Node.js 22 or newer")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
    if int(version.split(".")[0]) < LEAST_NODE:
        raise BenchError(f"{node} is Node.js {version}, and OrbitDB needs {LEAST_NODE} or newer; install that")
    return node, version


def catch_up(installed: Installed, system: str, settings: dict[str, Any], stores: Path | None) -> CaughtUp:
    """A writer process with a full store, a reader with an empty one. Raises BenchError: one failed or lacks any."""
    with tempfile.TemporaryDirectory(prefix=f"{system}-", dir=stores) as folder, tempfile.TemporaryFile() as errors:

        def command(role: str, given: dict[str, Any]) -> list[str]:
            program = str(installed.folder / f"{system}.mjs")
            return [installed.node, program, role, f"{folder}/{role}", json.dumps(given)]

        def failed(role: str) -> BenchError:
            errors.seek(0)
            last = errors.read()[-2_000:].decode("utf-8", "replace").strip()
            return BenchError(f"the {role} of {system} failed; it said: {last or 'nothing'}")

        serves = command("serve", settings)
        pipe = subprocess.PIPE
        writer = subprocess.Popen(serves, stdin=pipe, stdout=pipe, stderr=errors, text=True)
        try:
            assert writer.stdout is not None
            told = writer.stdout.readline()
            if not told:
                raise failed("writer")
            reads = command("read", settings | json.loads(told))
            reader = subprocess.run(reads, stdout=pipe, stderr=errors, text=True, timeout=ANSWER_S)
            if reader.returncode:
                raise failed("reader")
            got = json.loads(reader.stdout)
            right, sent = got["entries"], settings["entries"]
            if right != sent:
                raise BenchError(f"the reader of {system}, opened again, holds {right:,} right messages of {sent:,}")
            spent = json.loads(writer.communicate(timeout=ANSWER_S)[0])
        except subprocess.TimeoutExpired:
            raise BenchError(f"{system} did not answer within {ANSWER_S:.0f} s") from None
        finally:
            writer.kill()
            writer.communicate()
    return CaughtUp(got["seconds"], got["cpu_seconds"], spent["cpu_seconds"], got["stored_bytes"])
