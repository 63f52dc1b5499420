"""`banyan order`, `appeal` and `duties`: each command once, and what a clumsy operator is told."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from tests.cli.shell import banyan
from tests.node.test_moderation import a_node
from tests.node.test_orders import alliance


def test_an_order_is_given_appealed_against_and_ended_by_commands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with a_node(home) as (node, who):
        alliance(node, who)
        uri = node.call("post", text="tin", by="an")["uri"]
    issue = ("--home", home, "order", "issue", uri, "--scope", "vn", "--as", "bình")
    made = banyan(*issue, "--json").json
    assert banyan("--home", home, "order", "accept", made["order"]).code == 0
    (row,) = banyan("--home", home, "order", "list", "--json").lines
    assert (row["standing"], row["withheld"], row["answers"][0]["word"]) == ("in force", 1, "done")
    assert "in force" in banyan("--home", home, "order", "list").out
    assert banyan("--home", home, "appeal", "make", uri, "--why", "châm biếm", "--as", "an").out == "Appealed.\n"
    judged = ("--home", home, "appeal", "decide", made["order"], "suspends", "--as")
    assert "is no judge for vn" in banyan(*judged, "an").err
    assert banyan(*judged, "chi").code == 0
    assert banyan("--home", home, "order", "list", "--json").lines[0]["standing"] == "suspended"
    ended = banyan("--home", home, "order", "end", made["order"], "--as", "bình").out
    assert ended.startswith(f"Order {made['order']} is ended: ")
    assert banyan("--home", home, "order", "refuse", made["order"], "--why", "x").code == 0
    assert "does not confirm it" in banyan("--home", home, "order", "confirm", made["order"], "--as", "bình").err


def test_duties_without_a_person_are_listed_and_a_misspelt_key_is_a_sentence(tmp_path: Path) -> None:
    check = ("--home", tmp_path / "none", "duties", "check")
    rows = banyan(*check, "--person", "authorities=Chi", "--json").lines
    assert {row["role"] for row in rows} == {"complaints", "appeals", "child protection"}
    file = tmp_path / "law.toml"
    file.write_text('name = "a"\ntitle = "A"\nscop = "vn"\n')
    found = banyan(*check, "--file", file)
    assert found.err == f"banyan: {file} has no 'scop'; do you mean 'scope'?\n"
    assert found.code == 2
    file.write_bytes("\ufeff".encode() + (files("banyan_duties") / "eu-dsa.toml").read_bytes())
    assert banyan(*check, "--file", file).code == 0
    file.write_bytes(b"\x8d\xff")
    assert banyan(*check, "--file", file).err == f"banyan: {file} is no text in UTF-8; save it so.\n"
    assert "cannot be read (Is a directory)" in banyan(*check, "--file", tmp_path).err
    for person in ("authorities", "=Chi", "authorities=", "nobody=Chi"):
        assert f"'{person}' is not ROLE=NAME; the roles are" in banyan(*check, "--person", person).err
