"""`banyan reports`, `decisions`, `moderator`, `audit` and `tasks`: without a node, and beside one."""

from __future__ import annotations

import json
import time
from pathlib import Path

from banyan_cli import errors
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from tests.cli.shell import banyan, node_up
from tests.forking import CLI, Code
from tests.node.real import load_settings


def test_a_report_is_shown_decided_and_taken_back_and_all_of_it_is_in_the_audit_log(home: Path) -> None:
    with node_up(home) as node:
        lan = banyan("--home", home, "account", "create", "Lan", "--json").json["account"]
        assert banyan("--home", home, "reports").err.startswith("No report waits")
        uri = node.call("post", text="thư \x1b[2Jrác")["uri"]
        own = node.call("id")["account"]
        node.call("report.add", account=own, posts=[uri], comment="xem \x1b[31mđi", **{"as": lan})
        ran = banyan("--home", home, "reports")
        assert "xem" in ran.out
        assert "\x1b" not in ran.out
        assert "\x1b" not in banyan("--home", home, "reports", "show", "1").out
        assert banyan("--home", home, "reports", "show", "9").code == errors.FAILED
        made = banyan("--home", home, "reports", "decide", "1", "hide", "--why", "luật 12", "--json").json
        assert (made["verdict"], made["posts"]) == ("hide", [uri])
        assert node.call("feed", all=True)["posts"] == []
        assert banyan("--home", home, "reports", "--closed", "--json").lines[0]["state"] == "closed"
        assert "hide" in banyan("--home", home, "decisions").out
        ran = banyan("--home", home, "decisions", "undo", "1", "--why", "nhầm")
        assert ran.out == "Decision 1 (hide) was taken back.\n"
        assert len(node.call("feed", all=True)["posts"]) == 1
        banyan("--home", home, "moderator", "add", "Lan")
        assert banyan("--home", home, "moderator", "list", "--json").lines[0]["account"] == lan
        token = banyan("--home", home, "token", "add", "--scopes", "admin", "--label", "ops", "--json").json
        banyan("--home", home, "token", "revoke", token["id"])
        banyan("--home", home, "peers", "ban", "192.0.2.0/24", "--reason", "rác", "--days", "2")
        assert banyan("--home", home, "peers", "bans", "--json").lines[0]["network"] == "192.0.2.0/24"
        assert "192.0.2.0/24" in banyan("--home", home, "peers", "bans").out
        assert banyan("--home", home, "peers", "pardon", "192.0.2.0/24").code == 0
        begun = banyan("--home", home, "tasks", "begin", "export", "all.banyan", "--json").json
        deadline = time.monotonic() + 60
        while banyan("--home", home, "tasks", "--json").lines[0]["state"] != "done" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert begun["do"] == "archive.export"
        assert "archive.export" in banyan("--home", home, "tasks").out
        following = Code(CLI, "--home", home, "audit", "--follow", "--limit", "1", "--json")
        assert json.loads(following.stdout.readline())["do"] == "works.begin"
        banyan("--home", home, "moderator", "drop", "Lan")
        assert json.loads(following.stdout.readline())["do"] == "moderator.drop"
        following.terminate()
        following.wait()
        rows = banyan("--home", home, "audit", "--json").lines
        done = ["moderator.drop", "works.begin", "networks.pardon", "networks.ban", "token.revoke", "token.add"]
        done += ["moderator.add", "decision.undo", "decision.add", "account.create"]
        assert [row["do"] for row in rows][: len(done)] == done
        assert {row["via"] for row in rows} == {"control", "command"}
        assert token["token"] not in json.dumps(rows)
        (row,) = banyan("--home", home, "audit", "--do", "decision.add", "--json").lines
        assert row["why"] == "luật 12"
        assert "decision.add" in banyan("--home", home, "audit", "--limit", "20").out
        assert banyan("--home", home, "audit", "verify", "--json").json["broken"] is None
    (path,) = (home / "audit").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b"potato")
    ran = banyan("--home", home, "audit", "verify")
    assert (ran.code, "stand 6 bytes that are no line" in ran.err) == (0, True)
    path.write_bytes(path.read_bytes().replace("luật 12".encode(), "luật 13".encode()))
    ran = banyan("--home", home, "audit", "verify")
    assert ran.code == errors.STORAGE
    assert "is not what was written" in ran.err


def test_what_the_manual_says_of_a_damaged_disk_keeps_hosted_accounts_and_decisions(home: Path) -> None:
    with open_local(Home(home), load_settings(Home(home))) as node:
        lan = node.call("account.create", name="Lan", hosted=True)["account"]
        uri = node.call("post", text="thư rác", **{"as": lan})["uri"]
        node.call("decision.add", verdict="hide", account=lan, posts=[uri], why="LUẬT")
        hosted = node.call("account.list")
    data = home / "store" / "data.mdb"
    data.write_bytes(data.read_bytes().replace("LUẬT".encode(), b"\xf8" * len("LUẬT".encode())))
    ran = banyan("--home", home, "doctor")
    assert (ran.code, "cannot be read (the row 'decision:" in ran.out) == (errors.FAILED, True)
    assert "Decision 1 cannot be read" in banyan("--home", home, "decisions").err
    manual = (Path(__file__).parents[2] / "docs" / "operating.md").read_text("utf-8")
    section = manual.partition("### A damaged disk\n")[2].partition("\n### ")[0]
    typed = [line.partition("#")[0].split()[1:] for line in section.splitlines() if line.startswith("    banyan ")]
    assert ["store", "repair"] in typed
    said = ""
    for words in typed:
        if words not in (["up"], ["down"]):
            ran = banyan("--home", home, *words)
            said += ran.out + ran.err
    assert said.replace("\n", "").isprintable()
    assert "export" not in said
    with open_local(Home(home), load_settings(Home(home))) as node:
        assert node.call("account.list") == hosted
        assert node.call("feed", all=True)["posts"] == []
        assert [one["posts"] for one in node.call("decision.list")["decisions"]] == [[uri]]
        node.call("decision.undo", id=1)
        assert [one["uri"] for one in node.call("feed", all=True)["posts"]] == [uri]
        node.call("post", text="goes on", **{"as": lan})
    ran = banyan("--home", home, "store", "verify")
    assert (ran.code, "the store is sound" in ran.out) == (0, True)
