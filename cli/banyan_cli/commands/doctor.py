"""`banyan doctor`: what is wrong with this node and this machine, and what to do about it.

Each check is made alone and answers in a sentence; nothing is changed. A check that cannot be made says so and is no
failure: a node that is not running has no peers to count.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from banyan_cli import checks, errors
from banyan_cli.command_session import CallTarget, Session
from banyan_cli.commands.stores import faults_at_rest
from banyan_cli.declare import root
from banyan_cli.show.tables import count, measured, size, span
from banyan_node.operator_errors import NoNode
from banyan_node.terminal_escape import plain
from banyan_schema import dates
from banyan_storage.errors import StorageError

if TYPE_CHECKING:
    from rich.console import Console

LEAST_FREE = 1 << 30
_MARKS = {True: "ok", False: "!!", None: "--"}


class Finding(NamedTuple):
    """ok: None if there was nothing to check."""

    check: str
    ok: bool | None
    sentence: str


@root.command()
def doctor(s: Session) -> None:
    """Look for what is wrong, and say what to do."""
    findings = list(_findings(s))
    s.out.answer({"ok": all(f.ok is not False for f in findings), "checks": [f._asdict() for f in findings]}, _show)
    if any(f.ok is False for f in findings):
        raise typer.Exit(errors.FAILED)


def _show(console: Console, value: dict[str, Any]) -> None:
    for check in value["checks"]:
        style = {True: "green", False: "bold red", None: "dim"}[check["ok"]]
        console.print(_MARKS[check["ok"]], style=style, end="  ")
        console.print(f"{check['check']:<9} {plain(check['sentence'])}", soft_wrap=True)


_READ_STORE = {"clock", "store", "media", "account", "erasures", "node", "peers", "slots", "gates", "complete"}
"""Checks that read the store. A damaged page could end the process in them."""


def _findings(s: Session) -> Iterator[Finding]:
    every: tuple[tuple[str, Callable[[Session], tuple[bool | None, str]]], ...] = (
        ("python", _python),
        ("versions", _versions),
        ("home", _home),
        ("settings", _settings),
        ("keys", _keys),
        ("disk", _disk),
        ("map", lambda s: checks.store_map(next(p for p in (s.home.path, *s.home.path.parents) if p.exists()))),
        ("limits", _limits),
        ("clock", _clock),
        ("store", _store),
        ("media", _media),
        ("account", _account),
        ("erasures", _erasures),
        ("ports", _ports),
        ("node", _node),
        ("door", _door),
        ("door.db", lambda s: checks.door_remembers(s.home.door)),
        ("cert", lambda s: checks.certificate(s.settings.config.http.url)),
        ("peers", _peers),
        ("slots", _slots),
        ("gates", _gates),
        ("complete", _complete),
    )
    failed = dict[str, str]()
    damaged = None
    with suppress(StorageError, OSError):  # the check below says why the store cannot be opened
        damaged = faults_at_rest(s)
    for name, check in every:
        if damaged and name in _READ_STORE:
            if name == "store":
                first = damaged["problems"][0]["sentence"]
                yield Finding(name, False, f"a page is damaged ({first}) and was not read; run `banyan store repair`")
            continue
        try:
            yield Finding(name, *check(s))
        except Exception as error:
            if errors.exit_code(error) is None and not isinstance(error, OSError):
                raise
            said = errors.sentence(error)
            first = failed.setdefault(said, name)
            yield Finding(name, False, said) if first == name else Finding(name, None, f"Unknown, as is {first}.")


def _python(s: Session) -> tuple[bool | None, str]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return True, f"Python {version}."
    return False, f"Python {version} runs this, and 3.11 to 3.13 are tested; make an environment with one of them."


def _home(s: Session) -> tuple[bool | None, str]:
    path = s.home.path
    if not path.is_dir():
        return False, f"{path} is not there; `banyan init` makes it."
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        return False, f"{path} has mode {mode:04o}, so others on this machine can look inside; run `chmod 700 {path}`."
    if not os.access(path, os.W_OK):
        return False, f"{path} cannot be written by this user; run banyan as its owner."
    return True, f"{path}, yours alone."


def _settings(s: Session) -> tuple[bool | None, str]:
    changed = [row for row in s.settings.rows() if row.source.layer != "default"]
    count = (
        "1 setting differs from its default"
        if len(changed) == 1
        else f"{len(changed)} settings differ from their defaults"
    )
    return True, f"{count}; `banyan config show` lists them."


def _keys(s: Session) -> tuple[bool | None, str]:
    from banyan_node.home.keystore import Keystore

    sealed = Keystore.open(s.home.keys).encrypted
    return True, "Sealed by a passphrase." if sealed else "Readable by you alone, without a passphrase."


def _disk(s: Session) -> tuple[bool | None, str]:
    folder = next(p for p in (s.home.path, *s.home.path.parents) if p.exists())
    free, reserve = shutil.disk_usage(folder).free, s.settings.config.storage.reserve
    node = s.node()
    status = {} if node is None else node.call("status")
    if full := status.get("full"):
        return False, f"Nothing of others is taken: {full}."
    if full := status.get("strangers", {}).get("full"):
        return False, f"Not all accounts of strangers are taken: {full}."
    if part := status.get("strangers", {}).get("part"):
        return False, f"{part}."
    if free < LEAST_FREE or free < reserve:
        return False, f"{free >> 20} MiB are free on the disk of {folder}; make room, or move the home with --home."
    return True, f"{free / (1 << 30):.1f} GiB are free."


def _clock(s: Session) -> tuple[bool | None, str]:
    """A clock that runs behind would date entries before those already written."""
    newest = max((p.stat().st_mtime for p in (Path(__file__), *_files(s.home.path))), default=0.0)
    behind = newest - time.time()
    if behind > 60:
        return False, f"The clock is {behind:.0f} s behind files already written; set it, with NTP if you can."
    said = f"It is {dates.second(int(time.time() * 1000))} UTC"
    node = s.node()
    clock = s.call("status").get("clock") if s.home.keys.exists() else None
    if clock is not None and (wrong := _of_clock(clock)) is not None:
        return False, f"{said}. {wrong}"
    if clock is None or node is None:
        return True, f"{said}; no peer has said yet what it has."
    if clock["wrong"]:
        return False, f"{said}, and {clock['wrong']}."
    if clock["ahead_ms"] is None:
        return True, f"{said}; no named platform was heard for two minutes, so it was compared with none."
    others = "the only named platform" if clock["platforms"] == 1 else f"{clock['platforms']} named platforms"
    return True, f"{said}, within {1 + abs(clock['ahead_ms']) // 1000} s of {others}."


def _of_clock(clock: dict[str, Any]) -> str | None:
    """What a clock that was wrong has left behind."""
    if clock["log_ahead_ms"]:
        return (
            f"This node's log ends {span(clock['log_ahead_ms'])} in the future, so nothing can be posted until then. "
            "If the clock is right now, `banyan account new-log` begins another log."
        )
    if clock["control_ahead_ms"]:
        return (
            f"The account's control log ends {span(clock['control_ahead_ms'])} in the future, so no key can be changed "
            "until then, but by `banyan account recover --undo N`."
        )
    if clock["doubted"]:
        return (
            f"Nothing is forgotten after its 30 days, because {clock['doubted']}. If the clock is right, it goes on "
            "after a day, or at once by `banyan store trust-clock`."
        )
    return None


def _files(path: Path) -> Iterator[Path]:
    return path.rglob("*") if path.is_dir() else iter(())


def _store(s: Session) -> tuple[bool | None, str]:
    if not s.home.keys.exists():
        return None, "There is none before `banyan init`."
    stats = s.call("store.stats")
    if damaged := stats["damaged"]:
        said = f"{count(len(damaged), 'row')} of what only this node knows cannot be read ({damaged[0]})"
        return False, f"{said}; `banyan down`, `banyan store repair`, `banyan up`, then look at the disk."
    return True, f"It opens: {stats['entries']:,} entries in {stats['logs']:,} logs."


def _media(s: Session) -> tuple[bool | None, str]:
    if not s.home.keys.exists():
        return None, "There are none before `banyan init`."
    stats, most = s.call("store.stats"), s.settings.config.media.max_bytes
    said = f"{count(stats['media'], 'picture or film', 'pictures and films')} take {size(stats['media_bytes'])}"
    if most and stats["media_bytes"] > most * 0.95:
        return False, f"{said} of {size(most)}; raise media.max_bytes, or drop some (`banyan media list`)."
    return True, f"{said} of {size(most)}." if most else f"{said}."


def _account(s: Session) -> tuple[bool | None, str]:
    if not s.home.keys.exists():
        return None, "There is none before `banyan init`."
    trouble = s.call("status").get("trouble")
    if trouble:
        return False, f"{trouble[0].upper()}{trouble[1:]}."
    if s.call("id")["account"] is None:
        return None, "This node has no account of its own yet."
    return True, "This node controls its own account."


def _erasures(s: Session) -> tuple[bool | None, str]:
    rows = s.call("store.erasures")["erasures"] if s.home.keys.exists() else []
    shown, waiting = (sum(row["state"] == state for row in rows) for state in ("shown", "waits"))
    if shown:
        return None, f"{shown} {'asks' if shown == 1 else 'ask'} to be erased: `banyan store erasures`."
    if waiting:
        return None, f"{count(waiting, 'account')} will be erased here: `banyan store erasures` says when."
    return None, "No account asks this operator to be erased."


def _versions(s: Session) -> tuple[bool | None, str]:
    node = s.node()
    if node is None:
        return checks.versions(None, ())
    return checks.versions(
        node.call("id").get("version", "of before 0.1.0"), (node.call("status").get("unreached") or {}).values()
    )


def _limits(s: Session) -> tuple[bool | None, str]:
    from banyan_node.server.servers import find_running

    pid = None if s.node() is None else find_running(s.home)[0].pid
    return checks.open_files(s.settings.config, bool(_doors(s)), pid)


def _doors(s: Session) -> list[str]:
    """Where a running node serves HTTP; without one, where it would."""
    node = s.node()
    if node is not None:
        return list(node.call("id")["doors"])
    return [address] if (address := s.settings.config.http.address) else []


def _door(s: Session) -> tuple[bool | None, str]:
    doors, node = _doors(s), s.node()
    if not doors:
        return None, "It is shut; `banyan up --http ADDRESS` opens it for apps and browsers, http.address for good."
    if node is None:
        return None, "The node is not running."
    said = node.call("status").get("door") or {"trouble": None, "workers": []}
    if said["trouble"]:
        why = f"{said['trouble'][0].upper()}{said['trouble'][1:]}"
        return False, f"{why}, and is started anew; the node's log says why."
    answered = [checks.door_answers(address) for address in doors]
    if wrong := [found for found in answered if not found[0]]:
        return wrong[0]
    if not said["workers"]:
        return True, f"{answered[0][1]} It is served by the node itself."
    ended = sum(worker["ended"] for worker in said["workers"])
    lost = f"; {count(ended, 'worker')} ended unasked since the start" if ended else ""
    return True, f"{answered[0][1]} It is served by {count(len(said['workers']), 'worker')}{lost}."


def _own_ports(s: Session, node: CallTarget) -> tuple[bool | None, str]:
    """Of a running node."""
    from banyan_node.server.servers import find_running

    running, _ = find_running(s.home)
    who = node.call("id")
    named: dict[int, str] = {}
    for address in who["addresses"]:
        _, _, _, kind, number, *_ = address.split("/")
        if kind == "tcp":
            named[int(number)] = "peers"
    for address in who.get("doors", ()):
        if not address.startswith("unix:"):
            named[int(address.rpartition(":")[2])] = "the door"
    if running.endpoint.port:
        named[running.endpoint.port] = "the control API"
    return checks.of_process(running.pid, named)


def _ports(s: Session) -> tuple[bool | None, str]:
    node = s.node()
    if node is not None:
        return _own_ports(s, node)
    config = s.settings.config
    wanted: list[tuple[str, int]] = []
    if not config.control.socket:
        wanted.append((config.control.host, config.control.port))
    for address in config.node.listen:
        _, family, where, kind, number, *_ = address.split("/")
        if kind == "tcp" and family in ("ip4", "ip6"):
            wanted.append((where, int(number)))
    address = config.http.address
    if address and not address.startswith("unix:"):
        host, _, number = address.rpartition(":")
        wanted.append((host.strip("[]"), int(number) if number.isdigit() else 0))
    fixed = [(host, port) for host, port in wanted if port]
    for host, port in fixed:
        if (why := checks.why_taken(host, port)) is not None:
            return False, f"{why}."
    if not fixed:
        return True, "Free ports are taken at the start."
    return True, "1 port is named, and free." if len(fixed) == 1 else f"{len(fixed)} ports are named, and free."


def _node(s: Session) -> tuple[bool | None, str]:
    from banyan_node.server.control_client import ControlClient

    if not s.home.running.exists():
        return None, "It is not running; `banyan up` starts it."
    try:
        with ControlClient.from_home(s.home, 5.0) as node:
            value = node.call("id")
            failing = node.call("status").get("failing") or {}
    except NoNode as error:
        return False, str(error)
    if failing:
        return False, f"It answers, and fails at {'; '.join(f'{task}: {why}' for task, why in failing.items())}."
    return True, f"It answers as {value['peer_id']}."


def _are(count: int) -> str:
    return "1 is" if count == 1 else f"{count} are"


def _slots(s: Session) -> tuple[bool | None, str]:
    node = s.node()
    slots = None if node is None else node.call("status").get("slots")
    if slots is None:
        return None, "The node is not running."
    if slots["crowded"]:
        return False, f"{slots['crowded'][0].upper()}{slots['crowded'][1:]}."
    used = ", ".join(f"{slots[pool]} of {slots[f'{pool}_of']} {pool}" for pool in ("inbound", "outbound", "named"))
    lost = f"; {slots['evicted']:,} had to make room since the start" if slots["evicted"] else ""
    return True, f"{used} are in use{lost}."


def _gates(s: Session) -> tuple[bool | None, str]:
    node = s.node()
    if node is None:
        return None, "The node is not running."
    rows = node.call("status")["stopped"]
    said = [
        f"{row['gate']} {'delayed' if row['seconds'] else 'refused'} {row['whom']} most"
        f" ({measured(row['seconds']) if row['seconds'] else count(row['times'], 'time')})"
        for row in rows
    ]
    return True, f"In the last minutes {' and '.join(said) or 'no gate stopped anybody'}."


def _peers(s: Session) -> tuple[bool | None, str]:
    from banyan_node.links.peerstore import why_unreachable

    node = s.node()
    bootstrap = list(s.settings.config.node.bootstrap)
    if node is not None:
        peers = node.call("peers")
        connected = [p for p in peers if p["connected"]]
        lost = sum(p["points"] > 0 for p in connected)
        banned = sum(p["ban"] is not None for p in peers)
        told = [f"{lost} of them lost points"] * bool(lost) + [f"{_are(banned)} banned"] * bool(banned)
        unreached = node.call("status").get("unreached") or {}
        if connected:
            why = f"; {', '.join(told)}: `banyan peers list` says what for." if told else "."
            others = f" Not linked of those it dials: {'; '.join(_whys(unreached))}." if unreached else ""
            return True, f"{_are(len(connected))} connected{why}{others}"
        if unreached:
            return False, f"None of {len(unreached)} that it dials is connected: {'; '.join(_whys(unreached))}."
        if not bootstrap:
            return None, (
                "None is connected. `banyan config set node.bootstrap ADDRESS` names one to dial first, and `banyan "
                "peers add ADDRESS` one for this run."
            )
    if not bootstrap:
        return None, "None are named to dial first (node.bootstrap)."
    reasons = {address: why_unreachable(address) for address in bootstrap}
    reached = [address for address, why in reasons.items() if why is None]
    if reached:
        return True, f"{len(reached)} of {len(bootstrap)} bootstrap peers can be reached."
    return False, f"None of {len(bootstrap)} bootstrap peers can be reached: {'; '.join(_whys(reasons))}."


def _complete(s: Session) -> tuple[bool | None, str]:
    node = s.node()
    if node is None:
        return None, "Unknown while the node is not running."
    status = node.call("status")
    if status["doubt"]:
        return None, f"{status['doubt'][0].upper()}{status['doubt'][1:]}."
    if status["complete"]:
        return True, "All that this node is to hold is here."
    behind, lacking = status["behind"], status["lacking_parts"]
    missing = [f"{count(behind, 'entry', 'entries')} that peers have"] * bool(behind)
    missing += [f"the content of {count(lacking, 'operation')}"] * bool(lacking)
    return None, f"Still missing: {' and '.join(missing) or 'what peers are being asked for'}."


def _whys(reasons: Mapping[str, str | None]) -> list[str]:
    """Each reason once."""
    return list(dict.fromkeys(why for why in reasons.values() if why))
