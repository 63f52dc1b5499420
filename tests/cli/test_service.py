"""A node as a service: what its manager hears, its log that is rotated, its figures, and how it stops.

One real `banyan up` for all of them; the last test stops it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from banyan_node.home.folder import Home
from banyan_node.server.control_client import ControlClient
from banyan_node.server.servers import find_running
from tests.cli.shell import COMMAND, banyan, clean_environment, process
from tests.needs import ROOT, skipped_without

DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text("utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


class Service(NamedTuple):
    home: Home
    node: subprocess.Popen[bytes]
    manager: socket.socket
    log: Path

    def hears(self, line: str) -> list[str]:
        """What the manager hears until this line, which is the last."""
        heard: list[str] = []
        deadline = time.monotonic() + 90.0
        while line not in heard:
            self.manager.settimeout(max(0.01, deadline - time.monotonic()))
            heard += self.manager.recv(4096).decode().split("\n")
        return heard

    def get(self, path: str) -> tuple[int, str]:
        running, token = find_running(self.home)
        with_token = {"Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(running.endpoint.host, running.endpoint.port, timeout=60)
        connection.request("GET", path, headers=with_token)
        answer = connection.getresponse()
        said = answer.status, answer.read().decode()
        connection.close()
        return said


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    home, log = Home(folder / "home"), folder / "node.log"
    assert banyan("init", "--home", home.path, "--name", "Lan", "--realm", "test").code == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, (folder / "stderr").open("wb") as errors:
        manager.bind(str(folder / "notify"))
        env = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000", "BANYAN_LOG_FILE": str(log)}
        node = subprocess.Popen(
            [*COMMAND, "--home", str(home.path), "up", "--http", "127.0.0.1:0"],
            env={**clean_environment(), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            yield Service(home, node, manager, log)
        finally:
            node.kill()
            node.wait()


def test_the_manager_hears_when_the_node_is_ready_and_that_it_lives(service: Service) -> None:
    before = service.hears("READY=1")
    assert "STATUS=Starting" in before
    assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in before)
    assert "WATCHDOG=1" not in before, "systemd counts from READY on"
    assert service.get("/readyz") == (200, '{"ready":true}'), "ready means that it is"
    for _ in range(2):
        service.hears("WATCHDOG=1")
    environment = Path(f"/proc/{service.node.pid}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" in environment, "it was there at the start; children do not get it: test_service.py in node"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("?peers=0", 200, '{"ready":true,"peers":0}'),
        ("?peers=1", 503, "0 peers are linked, and 1 are asked for"),
        ("?peers=-1", 400, "a whole number of at most four digits"),
        ("?peers=", 400, "a whole number"),
        ("?peer=1", 400, "peers=N alone"),
        ("?peers=1&peers=0", 400, "peers=N alone"),
    ],
)
def test_readiness_may_ask_for_peers(service: Service, asked: str, status: int, said: str) -> None:
    found = service.get(f"/readyz{asked}")
    assert found[0] == status
    assert said in found[1]


def named(expression: str) -> tuple[set[str], set[str]]:
    """The metrics that PromQL names, and the labels that it groups by."""
    labels = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|\"[^\"]*\"", " ", expression)
    return set(re.findall(r"\b[a-z_]+\b(?!\s*\()", bare)), labels


def test_every_query_of_the_dashboard_names_what_the_node_exports(service: Service) -> None:
    for _ in range(3):
        assert banyan("--home", service.home.path, "status", "--json").code == 0
    say(service, "12D3KooWE66oAtwJUqvwmmjFrwRkYnmd8ffm52XmqWYGzoMaAdiV")  # something is refused
    text = service.get("/metrics")[1]
    exported: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        exported.setdefault(name, set()).update(re.findall(r"(\w+)=\"", labels))
    assert len(EXPRESSIONS) > 20
    for expression in EXPRESSIONS:
        metrics, labels = named(expression)
        assert metrics, expression
        for metric in metrics:
            assert metric in exported, f"{expression} asks for {metric}, which is not exported"
            assert labels <= exported[metric], f"{expression} groups {metric} by what it has not"
    assert re.search(r'^banyan_call_seconds_bucket\{le="0\.25",method="status"\} [3-9]', text, re.MULTILINE)
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    rows = "".join(re.findall(r"^\| (`banyan_.*?`) \|", page, re.MULTILINE))
    told = set(re.findall(r"`(banyan_\w+)", rows))
    parts = re.compile(r"_(bucket|count|sum)$")
    ours = {name for name in exported if name.startswith("banyan_") and not name.endswith("_created")}
    assert {name if name in told else parts.sub("", name) for name in ours} == told, "docs/operating.md lists them all"


def test_doctor_finds_that_all_of_a_service_is_well(service: Service) -> None:
    ran = banyan("--home", service.home.path, "doctor", "--json")
    found = {check["check"]: (check["ok"], check["sentence"]) for check in ran.json["checks"]}
    assert [name for name, (ok, _) in found.items() if ok is False] == []
    assert found["ports"][1].startswith("3 ports are the node's own: ")
    assert re.fullmatch(
        r"The door at 127.0.0.1:\d+ answers, in \d+ ms. It is served by the node itself.", found["door"][1]
    )
    assert found["door.db"] == (True, "Logins, tokens and apps can be read.")
    assert found["versions"][1].startswith("banyan 0.")
    assert "4,096" not in found["limits"][1]


def test_the_health_check_of_the_container_asks_whether_the_node_is_ready(service: Service) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (.*)$", text, re.MULTILINE)
    assert found is not None
    python, *words = json.loads(found[1])
    assert (python, "BANYAN_CONTROL_PORT=4002" in text, ":4002/" in words[1]) == ("python", True, True)
    port = find_running(service.home)[0].endpoint.port
    for where, code in ((port, 0), (9, 1)):
        words[1] = re.sub(r":\d+/", f":{where}/", words[1])
        assert subprocess.run([sys.executable, *words], capture_output=True, check=False).returncode == code


def say(service: Service, mark: str) -> None:
    """One line in the log."""
    with ControlClient.from_home(service.home) as client, pytest.raises(Exception, match="cannot be reached"):
        client.call("peers.add", addr=f"/ip4/127.0.0.1/tcp/9/p2p/{mark}")


def test_a_log_that_was_moved_away_goes_on_in_a_new_file(service: Service) -> None:
    old = service.log.with_suffix(".1")
    assert '"event": "ready"' in service.log.read_text()
    service.log.rename(old)
    os.kill(service.node.pid, signal.SIGHUP)
    deadline = time.monotonic() + 60
    while not (service.log.exists() and "log opened anew" in service.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "log opened anew" in service.log.read_text()
    assert "log opened anew" not in old.read_text()
    assert (service.log.stat().st_mode & 0o777) == 0o640
    assert service.node.poll() is None, "SIGHUP is no end where the log is a file"


@skipped_without(None if shutil.which("logrotate") else "logrotate is not installed")
@pytest.mark.parametrize("how", ["copytruncate", "nocreate\n postrotate\n  kill -HUP PID\n endscript"])
def test_logrotate_rotates_the_log_of_a_node_and_no_line_is_lost(service: Service, how: str, tmp_path: Path) -> None:
    config, state = tmp_path / "conf", tmp_path / "state"
    service.log.parent.chmod(0o755)
    config.write_text(f"{service.log} {{\n size 1\n rotate 9\n {how.replace('PID', str(service.node.pid))}\n}}\n")
    config.chmod(0o644)
    before = "".join(path.read_text() for path in service.log.parent.glob("node.log*"))
    subprocess.run(["logrotate", "--force", "--state", str(state), str(config)], check=True, capture_output=True)
    os.kill(service.node.pid, signal.SIGHUP)
    deadline = time.monotonic() + 60
    while not (service.log.exists() and "log opened anew" in service.log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert service.log.read_bytes()[:1] == b"{", "no hole where the file was cut short"
    after = "".join(path.read_text() for path in service.log.parent.glob("node.log*"))
    assert set(before.splitlines()) <= set(after.splitlines())


def test_sigterm_lets_what_is_under_way_finish_and_down_returns_when_the_process_is_gone(service: Service) -> None:
    running, token = find_running(service.home)
    head = f"POST /v1/id HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection((running.endpoint.host, running.endpoint.port), 20) as line:
        line.sendall(head.encode() + b"{")
        time.sleep(0.2)
        service.node.terminate()
        service.hears("STOPPING=1")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection((running.endpoint.host, running.endpoint.port), 1).close()
            except OSError:
                break
            time.sleep(0.02)
        else:
            raise AssertionError("it still takes connections")
        line.sendall(b"}")
        assert line.recv(65_536).startswith(b"HTTP/1.1 200 ")
    ran = process("--home", service.home.path, "down")
    assert ran.code in (0, 3), ran.err  # 3: it was gone already
    assert service.node.wait(60) == 0
    assert not service.home.running.exists()


VARIABLE = re.compile(r"\bBANYAN_[A-Z_]+")


def test_what_is_deployed_names_settings_that_there_are() -> None:
    from banyan_node.home.settings import OPTIONS

    known = {option.variable for option in OPTIONS.values()} | {"BANYAN_HOME"}
    files = [path for path in (ROOT / "deploy").iterdir() if path.suffix != ".json"]
    found = {name for path in files for name in VARIABLE.findall(path.read_text("utf-8"))}
    assert found >= {"BANYAN_HOME", "BANYAN_CONTROL_PORT", "BANYAN_HTTP_ADDRESS"}
    assert found - known == set()
    text = {path.name: path.read_text("utf-8") for path in files}
    last = text["Dockerfile"].rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE), "not root"
    assert "HEALTHCHECK" in last
    assert "/readyz" in last
    assert "ProtectSystem=strict" in text["banyan.service"]


@skipped_without(None if shutil.which("systemd-analyze") else "systemd-analyze is not installed")
def test_systemd_takes_the_unit_and_rates_it(tmp_path: Path) -> None:
    unit = tmp_path / "banyan.service"
    (tmp_path / "banyan").write_text("#!/bin/sh\n")
    (tmp_path / "banyan").chmod(0o755)
    text = (ROOT / "deploy" / "banyan.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/banyan/bin/banyan", str(tmp_path / "banyan")))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "banyan" in line]
    assert said == []
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-600:]
    assert re.search(r"Overall exposure level for banyan.service: [01]\.\d", rated.stdout), rated.stdout[-300:]
