"""The TypeScript client of the platform API: its types are what the node declares, and its sample runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import trio

from banyan_web.app import EVERY
from docs.generate import platform_openapi
from tests.js.test_client import needs_node
from tests.needs import ROOT, skipped_without
from tests.web.door import open_node
from tests.web.test_platform import platform

PACKAGE = ROOT / "js" / "platform"
MODULES = PACKAGE / "node_modules"
needs_modules = skipped_without(
    None if (MODULES / "openapi-fetch").exists() else "nothing is installed: run `npm ci` in js/platform"
)


def run(*line: str | Path) -> str:
    environ = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(line, cwd=PACKAGE, capture_output=True, text=True, check=False, timeout=120, env=environ)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    return done.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as npm packs it, which makes and checks its types. Only this module, so one worker, does so."""
    folder = tmp_path_factory.mktemp("packed")
    run("npm", "pack", "--offline", "--pack-destination", folder)
    (found,) = folder.iterdir()
    return found


@needs_node
@needs_modules
def test_its_package_has_the_types_that_the_declarations_make(packed: Path) -> None:
    with tarfile.open(packed) as files:
        types = files.extractfile("package/dist/schema.d.ts")
        assert types is not None
        said = types.read().decode()
    assert [path for path in json.loads(platform_openapi())["paths"] if f'"{path}": {{' not in said] == []


def test_every_endpoint_of_the_platform_api_says_what_it_answers() -> None:
    said = json.loads(platform_openapi())
    own = [endpoint for module in EVERY for endpoint in module.all if endpoint.path.startswith("/v1/")]
    assert len(own) > 30
    for endpoint in own:
        operation = said["paths"][endpoint.path][endpoint.verb.lower()]
        for kind, body in operation["responses"]["200"]["content"].items():
            assert body or "json" not in kind, f"{endpoint.verb} {endpoint.path} answers anything"
            assert body.get("schema", {}).get("type") != "object", f"{endpoint.path} answers any object"


@needs_node
@needs_modules
@pytest.mark.usefixtures("packed")
async def test_its_sample_runs_against_a_node(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        await door.person("Lotus")
        token = platform(door).token or ""
        found = json.loads(await trio.to_thread.run_sync(run, "node", PACKAGE / "dist" / "sample.js", door.url, token))
    assert found == {
        "words": 24,
        "uris": 1,
        "texts": ["Chào cả nhà!"],
        "followers": 1,
        "told": ["create post", "create follow"],
        "wrong": "not_found",
        "refused": 401,
        "forged": False,
    }
