"""The value of each setting and its source: flag, else environment, else config.toml, else default.

The invariants: values of all layers pass the same check, and `Settings.sources` names the layer of each. An unknown
name is an error in every layer, so that a mistyped limit is noticed.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import math
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_origin

import msgspec

from banyan_node.home.config import Config
from banyan_node.home.folder import Home, write_private
from banyan_node.home.values import (
    SIZE,
    Check,
    PathCheck,
    allowed,
    bare,
    extra_of,
    meta_of,
    size_of_text,
    type_of_items,
)
from banyan_node.operator_errors import ConfigError

# BANYAN_ variables that are no settings: where settings and secrets are, and what container platforms set for a
# service called "banyan".
_OTHER_VARIABLES = ("HOME", "PASSPHRASE", "PASSPHRASE_FILE", "PORT")
_OTHER_PREFIXES = ("SERVICE_", "PORT_")

FLAGS = {
    "interest.mode": "--interest",
    "control.port": "--control-port",
    "http.address": "--http",
    "http.workers": "--http-workers",
    "log.level": "--log-level",
    "log.format": "--log-format",
}
"""Flags of `banyan up` that are not named after the key of their setting."""
_MODE = "interest.mode"
_WHOLE_NETWORK = ("platform", "researcher")
"""Roles that need the whole graph; a hobbyist's small computer holds only near accounts."""


class ValueRefused(ConfigError):
    """A value is of the right type, and cannot be used. what: the value and why, without the setting and its source:
    for people who know of no setting."""

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class Option(NamedTuple):
    """One setting. type: what msgspec checks. allowed, why: texts for people. check, path: what else is asked of it, or
    of each of its items."""

    name: str
    type: Any
    default: Any
    allowed: str
    why: str
    check: Check | None
    path: PathCheck | None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "BANYAN_" + self.name.replace(".", "_").upper()


class SettingSource(NamedTuple):
    """where: the name of the flag, variable or file, for people."""

    layer: Literal["flag", "environment", "file", "default"]
    where: str


class Row(NamedTuple):
    """One line of `banyan config show`."""

    option: Option
    value: Any
    source: SettingSource


class Settings(NamedTuple):
    """The effective settings and the source of each."""

    config: Config
    sources: Mapping[str, SettingSource]

    def rows(self) -> Iterator[Row]:
        """Every setting, in the order of config.py."""
        for option in OPTIONS.values():
            yield Row(option, value_of(self.config, option.name), self.sources[option.name])


def load(home: Home, flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """The settings of the node in `home`. flags: setting name -> value, None if not given.

    Raises ConfigError, also for settings that do not fit together.
    """
    values: dict[str, dict[str, Any]] = {}
    sources = {name: SettingSource("default", "default") for name in OPTIONS}
    layers = (_from_file(home.config), _from_environment(os.environ if env is None else env), _from_flags(flags or {}))
    for layer in layers:
        for name, value, source in layer:
            section, key = name.split(".")
            values.setdefault(section, {})[key] = _checked(OPTIONS[name], value, source, home.path)
            sources[name] = source
    role = values.get("node", {}).get("role")
    if role in _WHOLE_NETWORK and sources[_MODE].layer == "default":
        values.setdefault("interest", {})["mode"] = "all"
        sources[_MODE] = SettingSource("default", f"default of the role {role}")
    settings = Settings(msgspec.convert(values, Config), sources)
    for wrong in disagreements(settings.config):
        raise ConfigError(_sentence(settings, wrong))
    return settings


def _sentence(settings: Settings, wrong: SettingConflict) -> str:
    said = [f"{name} ({settings.sources[name].where})" for name in wrong.names]
    if len(said) == 1:
        return f"{said[0]} cannot be used: {wrong.why}."
    return f"{' and '.join(said)} do not fit together: {wrong.why}; change one of them with `banyan config set`."


def value_of(config: Config, name: str) -> Any:
    """The value of `section.key`."""
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


def parse(name: str, text: str, where: str = "the command line") -> Any:
    """The value of a text that a person wrote; lists are separated by commas. Raises ConfigError. Paths are looked at
    where they are set."""
    return _checked(_option(name, where), text, SettingSource("flag", where), None)


def set_in_file(path: Path, name: str, value: Any, where: str = "the command line") -> None:
    """Write one setting to config.toml and keep all else, comments too. value: as `parse` returns it.

    Raises ConfigError if a start would refuse the value, or if the file is no TOML.
    """
    option = _option(name, str(path))
    section, key = option.name.split(".")
    _checked(option, value, SettingSource("flag", where), path.parent)
    _refuse_disagreement(path, name, value)
    import tomlkit  # a fiftieth of a second, which only this command needs

    document = tomlkit.parse(path.read_bytes() if path.exists() else b"")
    document.setdefault(section, tomlkit.table())[key] = value
    write_private(path, tomlkit.dumps(document).encode())


def _refuse_disagreement(path: Path, name: str, value: Any) -> None:
    """Raises ConfigError if the value would not fit together with the rest of the file. What else is wrong in the file
    is not asked: this may be one of several steps that mend it."""
    values: dict[str, dict[str, Any]] = {}
    for other, written, _ in (*_from_file(path), (name, value, None)):
        section, key = other.split(".")
        with suppress(ConfigError):
            source = SettingSource("file", str(path))
            values.setdefault(section, {})[key] = _checked(OPTIONS[other], written, source, None)
    config = msgspec.convert(values, Config)
    for wrong in disagreements(config):
        if name in wrong.names:
            others = ", ".join(f"{other} is {value_of(config, other)}" for other in wrong.names if other != name)
            raise ConfigError(f"{name} cannot be {value!r}: {wrong.why}{f' ({others})' if others else ''}.")


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # a TOML boolean, number or basic string is a JSON one


def _from_file(path: Path) -> Iterator[tuple[str, Any, SettingSource]]:
    source = SettingSource("file", str(path))
    for section, table in _read_toml(path).items():
        if not isinstance(table, dict) or section not in Config.__struct_fields__:
            name = section if isinstance(table, dict) else f"{section} = {table!r}"
            sections = ", ".join(f"[{known}]" for known in Config.__struct_fields__)
            raise ConfigError(f"{path} has {name} at its top, where only the sections {sections} are known.")
        for key, value in table.items():
            yield _option(f"{section}.{key}", str(path)).name, value, source


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from error


def lacks(home: Home, name: str, value: Any) -> str | None:
    """What has to be made before a node starts with this value, a sentence; None: nothing."""
    path = _option(name, str(home.config)).path
    why = path.lacks(home.path / value) if path and value else None
    return None if why is None else f"{home.path / value} {why}."


def in_environment() -> dict[str, tuple[Any, str]]:
    """The settings that variables of the environment give: name -> (value, variable). Raises ConfigError."""
    return {
        name: (_checked(OPTIONS[name], value, source, None), source.where)
        for name, value, source in _from_environment(os.environ)
    }


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[str, Any, SettingSource]]:
    by_variable = {option.variable: option for option in OPTIONS.values()}
    for variable in sorted(env):
        rest = variable.removeprefix("BANYAN_")
        if rest == variable or rest in _OTHER_VARIABLES or rest.startswith(_OTHER_PREFIXES):
            continue
        option = by_variable.get(variable)
        if option is None:
            raise ConfigError(f"The environment sets {variable}, which is no setting{_near(variable, by_variable)}.")
        yield option.name, env[variable], SettingSource("environment", variable)


def _from_flags(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any, SettingSource]]:
    for name, value in flags.items():
        if value is not None:
            source = SettingSource("flag", FLAGS.get(name) or "--" + name.split(".")[-1].replace("_", "-"))
            yield _option(name, "the command line").name, value, source


def _option(name: str, where: str) -> Option:
    option = OPTIONS.get(name)
    if option is None:
        raise ConfigError(f"{where} sets {name}, which is no setting{_near(name, OPTIONS)}.")
    return option


def _near(name: str, known: Mapping[str, object]) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f"; perhaps {found[0]} was meant" if found else "; `banyan config show` lists them all"


def _checked(option: Option, value: Any, source: SettingSource, folder: Path | None) -> Any:
    """The converted value. Text of a flag or variable may mean a list, a number or a boolean. folder: where relative
    paths are; None: paths are not looked at."""
    written = isinstance(value, str) and source.layer != "file"
    found = value
    if isinstance(value, str) and option.allowed.startswith(SIZE):
        with suppress(ValueError):
            found = size_of_text(value)
    if written and get_origin(bare(option.type)) is list:
        found = [item.strip() for item in value.split(",") if item.strip()]
    try:
        found = msgspec.convert(found, option.type, strict=not written)
        if isinstance(found, float) and not math.isfinite(found):  # msgspec finds it within any bounds
            raise msgspec.ValidationError
    except msgspec.ValidationError as error:
        remedy = ""
        if source.layer == "file" and isinstance(option.default, int | float):
            remedy = f" Run `banyan config set {option.name} {_toml(option.default)}` for the default."
        raise ConfigError(
            f"{source.where} sets {option.name} to {value!r}, which is not allowed; allowed: {option.allowed}.{remedy}"
        ) from error
    for item in found if isinstance(found, list) else [found]:
        if (why := _why_not(option, item, folder)) is not None:
            raise ValueRefused(f"{source.where} sets {option.name} to {item!r}, which {why}.", f"{item!r} {why}.")
    return found


def _why_not(option: Option, item: Any, folder: Path | None) -> str | None:
    if item == "":
        return None
    if option.path is not None:
        if folder is None:
            return None
        own = "\0" not in item and Home(folder).has_named(folder / item)
        return "is a file of the node itself: choose another name" if own else option.path.why_not(folder / item)
    return option.check.why_not(item) if option.check is not None else None


def _all_options() -> Iterator[Option]:
    default = Config()
    for section in Config.__struct_fields__:
        table = getattr(default, section)
        for key, annotation in typing.get_type_hints(type(table), include_extras=True).items():
            why, item = meta_of(annotation).description or "", type_of_items(annotation)
            checks = (
                (extra_of(item, Check), extra_of(item, PathCheck)) if get_origin(item) is Annotated else (None, None)
            )
            yield Option(f"{section}.{key}", annotation, getattr(table, key), allowed(annotation), why, *checks)


OPTIONS: Mapping[str, Option] = {option.name: option for option in _all_options()}


# Settings that are allowed alone and not together. `disagreements` names each pair, with a sentence that says why.
#
# Where a node could start with two settings, but not do what one of them promises, they disagree: it is better said
# when they are loaded than found out in the third week.

_ANY = ("0.0.0.0", "::")
"""Hosts that stand for every address of their family."""


class SettingConflict(NamedTuple):
    """names: the settings, of which one must change; one alone if it names the same twice."""

    names: tuple[str, ...]
    why: str


def disagreements(config: Config) -> Iterator[SettingConflict]:
    """All that is wrong between settings. Each value is allowed by itself (values.py)."""
    limits, discovery, network = config.limits, config.discovery, config.network
    if limits.peers < discovery.active_view:
        yield SettingConflict(
            ("limits.peers", "discovery.active_view"),
            f"{limits.peers} connections are too few for {discovery.active_view} neighbours",
        )
    if limits.ingest_queue_bytes < limits.frame_bytes:
        yield SettingConflict(
            ("limits.ingest_queue_bytes", "limits.frame_bytes"),
            f"a frame of {limits.frame_bytes:,} bytes does not fit into a queue of {limits.ingest_queue_bytes:,}",
        )
    denied = [ipaddress.ip_network(cidr, strict=False) for cidr in network.deny]
    for cidr in network.allow:
        if over := _within(ipaddress.ip_network(cidr, strict=False), denied):
            yield SettingConflict(("network.allow", "network.deny"), f"{cidr} is allowed, and denied as part of {over}")
    for address in config.node.bootstrap:
        where = _network(address.split("/")[2])
        if where and (over := _within(where, denied)):
            yield SettingConflict(
                ("node.bootstrap", "network.deny"), f"{address} is to be dialled, and {over} is denied"
            )
    taken: list[tuple[str, str, int]] = []
    for name, host, port in _ports(config):
        for other, there, number in taken:
            if number == port and _overlap(host, there):
                yield SettingConflict(tuple(dict.fromkeys((other, name))), f"port {port} is named twice")
        taken.append((name, host, port))


def _ports(config: Config) -> Iterator[tuple[str, str, int]]:
    """Setting, host and port of each place where this node is to listen, but for free ports."""
    control, door = config.control, config.http.address
    found: list[tuple[str, str, int]] = []
    if not control.socket:
        found.append(("control.port", control.host, control.port))
    for address in config.node.listen:
        _, _, host, _, port = address.split("/")
        found.append(("node.listen", host, int(port)))
    if door and not door.startswith("unix:"):
        host, _, port = door.rpartition(":")
        found.append(("http.address", host.strip("[]"), int(port)))
    for name, host, number in found:
        if number:
            yield name, "127.0.0.1" if host == "localhost" else host, number


def _overlap(one: str, other: str) -> bool:
    """Whether two hosts cannot both have a port. IPv4 and IPv6 can."""
    return one == other or ((":" in one) == (":" in other) and bool({one, other} & {*_ANY}))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: list[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> str | None:
    """The network of `outer` that holds all of `inner`."""
    for net in outer:
        if net.version == inner.version and inner.network_address in net and inner.broadcast_address in net:
            return str(net)
    return None
