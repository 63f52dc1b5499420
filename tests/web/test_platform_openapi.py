"""The OpenAPI document is true: schemathesis makes requests from it, and compares what the door answers with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from banyan_web.app import EVERY
from tests.needs import NIGHT, ROOT
from tests.web.door import Client, open_node
from tests.web.test_platform import open_accounts, platform

NUMBERS = ("integer", "number")
CHECKS = "is_no_fault,status_code_conformance,content_type_conformance,response_schema_conformance"


async def test_the_document_has_every_endpoint_and_the_page_shows_it_without_scripts(tmp_path: Path) -> None:
    async with open_node(tmp_path) as door:
        said = await door.client().get("/openapi.json")
        for endpoint in (endpoint for module in EVERY for endpoint in module.all):
            operation = said["paths"][endpoint.path.replace(":path", "")][endpoint.verb.lower()]
            assert operation["summary"]
            assert operation.get("x-scope") == endpoint.scope
            assert bool(operation["security"]) == (endpoint.scope is not None)
            assert "409" in operation["responses"] or endpoint.shape is None or not endpoint.shape.keyed
        places = {f"#/components/{kind}/{name}" for kind, all in said["components"].items() for name in all}
        assert set(_refs(said)) <= places
        assert said["paths"]["/v1/accounts"]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for operation in (
            one for path, verbs in said["paths"].items() if path.startswith("/v1/") for one in verbs.values()
        ):
            bodies = [operation.get("requestBody"), operation["responses"]["200"]]
            for kinds in (set(body["content"]) for body in bodies if body is not None):
                assert kinds & {"application/json", "application/octet-stream", "text/event-stream"}, "generators know"
        await _all_bounds_hold(said["paths"], platform(door, "read", "write", "host", "admin", "firehose"))
        page = await door.client().http.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "<script" not in page.text
        assert "http://" not in page.text.replace(door.url, "")
        assert "script-src" not in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for path in said["paths"]:
            assert f"<code>{path}</code>" in page.text


async def _all_bounds_hold(paths: dict[str, Any], client: Client) -> None:
    """A number in an address that the document does not allow is refused, never taken for another."""
    tried = set[str]()
    for path, verb, operation in ((path, verb, one) for path, verbs in paths.items() for verb, one in verbs.items()):
        place = path.replace("{account}", "Lotus").replace("{key}", "0" * 32)
        whose = "&as=Lotus" if any(one["name"] == "as" for one in operation["parameters"]) else ""
        for name, schema in ((one["name"], one["schema"]) for one in operation["parameters"] if one["in"] == "query"):
            (kind,) = [one for one in schema.get("anyOf", [schema]) if one.get("type") in NUMBERS] or [None]
            if kind is None:
                continue
            wrong = [kind["minimum"] - 1] if "minimum" in kind else []
            wrong += [kind["maximum"] + 1, 10**25] if "maximum" in kind else []
            assert wrong, f"{path} {name} has no bounds"
            for value in [*wrong, "x", "1.5"]:
                answer = await client.http.request(verb, f"{place}?{name}={value}{whose}")
                assert answer.status_code in (400, 422), (verb, path, name, value, answer.text)
                assert name in answer.json()["error"], (path, value, answer.text)
                tried.add(f"{path} {name}")
    assert {"/v1/firehose frontier", "/v1/accounts limit", "/v1/admin/accounts limit"} <= tried


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


async def test_no_request_that_the_document_allows_is_answered_otherwise_than_it_says(tmp_path: Path) -> None:
    async with open_node(tmp_path / "home") as door:
        _, person = await door.person("Lotus")
        client, admin = platform(door), platform(door, "read", "write", "host", "admin")
        (an,) = await open_accounts(client, "an")
        row = await person.post("/v1/operations", id="1", do="post", text="một")
        key = row["answer"]["uri"].rpartition("/")[2]
        own = row["answer"]["uri"].partition("/")[0]
        config = tmp_path / "schemathesis.toml"
        config.write_text(f'[parameters]\n"path.account" = "{own}"\n"path.key" = "{key}"\n')
        known = ["--config-file", str(config)]
        once = [*known, "--exclude-path", "/v1/operations"]  # each of its many kinds has thousands of borders
        runs: tuple[tuple[list[str], str, str, Client], ...] = (
            (
                once,
                "^/(v1/(?!admin)|openapi|docs)",
                "coverage,fuzzing" if NIGHT else "coverage",
                client,
            ),  # on what is there
            ([], "^/v1/", "fuzzing", admin),  # on anything
        )
        lines = [_line(door.url, asks.token or "", extra, paths, phases) for extra, paths, phases, asks in runs]
        done = await trio.to_thread.run_sync(_run, tmp_path, lines)
        assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
        assert done.stdout.count("Test cases:") == len(lines)
        assert (await client.get(f"/v1/accounts/{an}"))["name"] == "an"
        assert (await door.node.backend.call("store.verify", {}))["problems"] == []


def _line(url: str, token: str, extra: list[str], paths: str, phases: str) -> list[str]:
    line = [*extra[:-2], "run", *extra[-2:], f"{url}/openapi.json", "-H", f"Authorization: Bearer {token}"]
    line += ["--include-path-regex", paths, "--checks", CHECKS, "--no-color", "--seed", "1"]
    line += ["--exclude-path", "/v1/firehose"]  # it goes on for ever
    for path in ("/v1/admin/peers", "/v1/admin/tokens/{id}"):  # it would dial, and revoke its own token
        line += ["--exclude-path", path]
    line += ["--phases", phases, "--max-examples", "3", "--continue-on-failure", "--generation-database", "none"]
    return line if NIGHT else [*line, "--mode", "positive"]  # by night also what the document does not allow


_ALL = """
import json, sys
from schemathesis.cli import schemathesis
for line in json.loads(sys.argv[1]):
    try:
        schemathesis(line)
    except SystemExit as end:
        if end.code:
            raise
"""
"""One process runs all: what it makes of the document it makes once."""


def _run(folder: Path, lines: list[list[str]]) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "tests.web.ndjson_hooks", "PYTHONPATH": str(ROOT)}
    env["HYPOTHESIS_STORAGE_DIRECTORY"] = str(ROOT / ".hypothesis")  # what it knows of Unicode, which takes a second
    command = [sys.executable, "-c", _ALL, json.dumps(lines)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=400, check=False)
