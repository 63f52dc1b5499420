"""Settings: which layer wins, that its name is shown, and that no mistake is ignored."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from banyan_node.home.config import Config
from banyan_node.home.folder import Home, find_home
from banyan_node.home.settings import OPTIONS, load, parse, set_in_file, value_of
from banyan_node.operator_errors import ConfigError, HomeError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_without_settings_a_node_talks_to_this_machine_only(home: Home) -> None:
    config = load(home, env={}).config
    assert config == Config()
    assert all("/127.0.0.1/" in address for address in config.node.listen)
    assert config.control.host == "127.0.0.1"
    assert not config.node.mdns
    assert not config.node.bootstrap


def test_flag_beats_environment_beats_file_beats_default_and_each_is_named(home: Home) -> None:
    home.config.write_text("[limits]\npeers = 10\ndials = 3\nstreams_per_peer = 2\n")
    env = {"BANYAN_LIMITS_PEERS": "20", "BANYAN_LIMITS_DIALS": "4"}
    settings = load(home, {"limits.peers": 30, "node.name": None}, env)
    limits = settings.config.limits
    assert (limits.peers, limits.dials, limits.streams_per_peer) == (30, 4, 2)
    told = {name: source for name, source in settings.sources.items() if source.layer != "default"}
    assert told == {
        "limits.peers": ("flag", "--peers"),
        "limits.dials": ("environment", "BANYAN_LIMITS_DIALS"),
        "limits.streams_per_peer": ("file", str(home.config)),
    }
    assert {row.option.name for row in settings.rows()} == set(OPTIONS)


def test_text_from_the_environment_becomes_lists_numbers_and_booleans(home: Home) -> None:
    env = {
        "BANYAN_NODE_LISTEN": "/ip4/0.0.0.0/tcp/4001, /ip6/::/tcp/4001",
        "BANYAN_NODE_MDNS": "true",
        "BANYAN_LOG_LEVEL": "debug",
        "BANYAN_CONTROL_GRACE_SECONDS": "0.5",
        "BANYAN_NODE_BOOTSTRAP": "",
    }
    config = load(home, env=env).config
    assert config.node.listen == ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]
    assert config.node.mdns
    assert config.log.level == "debug"
    assert config.control.grace_seconds == 0.5
    assert config.node.bootstrap == []


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[limits]\npeers = 0", "limits.peers to 0, which is not allowed; allowed: a whole number from 1 to 10000"),
        ('[limits]\npeers = "9"', "limits.peers to '9'"),
        ("[limits]\npeer = 9", "limits.peer, which is no setting; perhaps limits.peers was meant"),
        ('[node]\nrole = "king"', "node.role to 'king'.*platform or hobbyist or researcher"),
        ('[node]\nlisten = ["127.0.0.1:80"]', "node.listen.*at most 16 multiaddrs such as /ip4/"),
        ('[node]\nlisten = "/ip4/127.0.0.1/tcp/0"', "node.listen"),
        ('[node]\nbootstrap = ["/ip4/127.0.0.1/tcp/1"]', "node.bootstrap.*end in the peer's id"),
        ('[control]\nhost = "0.0.0.0"', "control.host to '0.0.0.0'.*127.0.0.1 or ::1 or localhost"),
        ("[limts]\npeers = 9", r"limts at its top, where only the sections \[node\], \[network\]"),
        ("peers = 9", "peers = 9 at its top"),
        ("[node\n", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_gives_one_sentence_with_file_key_value_and_remedy(
    home: Home, toml: str, sentence: str
) -> None:
    home.config.write_text(toml)
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(home, env={})
    assert str(home.config) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistyped_variable_is_an_error_and_a_container_platforms_own_are_not(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"BANYAN_LIMITS_PEER, .* perhaps BANYAN_LIMITS_PEERS was meant"):
        load(home, env={"BANYAN_LIMITS_PEER": "3"})
    with pytest.raises(ConfigError, match=r"BANYAN_LIMITS_PEERS sets limits.peers to 'many'"):
        load(home, env={"BANYAN_LIMITS_PEERS": "many"})
    fine = {"BANYAN_HOME": "/x", "BANYAN_PASSPHRASE": "x", "BANYAN_SERVICE_HOST": "10.0.0.1", "BANYAN_PORT_80_TCP": "x"}
    assert load(home, env=fine).config == Config()


def test_a_wrong_flag_is_named_as_it_was_typed(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"--realm sets node.realm to 'prod'.*main or test"):
        load(home, {"node.realm": "prod"}, {})


def test_every_default_is_allowed_and_every_setting_has_a_reason() -> None:
    for option in OPTIONS.values():
        assert len(option.why) > 15, option.name
        assert option.default == value_of(Config(), option.name)
        written = ",".join(option.default) if isinstance(option.default, list) else str(option.default)
        assert parse(option.name, written) == option.default


def test_config_set_keeps_all_else_and_comments_too(home: Home) -> None:
    home.config.write_text(
        '# mine\n[node] # who\nname = "fig"   # old\nlisten = [\n  "/ip4/127.0.0.1/tcp/1", # a\n]\n\n'
        '[log]\nlevel = "info"\n'
    )
    set_in_file(home.config, "node.listen", parse("node.listen", "/ip4/0.0.0.0/tcp/4001"))
    set_in_file(home.config, "node.mdns", True)
    set_in_file(home.config, "limits.peers", 7)
    set_in_file(home.config, "log.level", "debug")
    set_in_file(home.config, "node.name", 'a "b" \\ # é')
    assert home.config.read_text() == (
        '# mine\n[node] # who\nname = "a \\"b\\" \\\\ # é"   # old\nlisten = ["/ip4/0.0.0.0/tcp/4001"]\nmdns = true\n\n'
        '[log]\nlevel = "debug"\n\n[limits]\npeers = 7\n'
    )
    assert load(home, env={}).config.node.name == 'a "b" \\ # é'


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_config_set_writes_what_load_reads(home: Home, name: str) -> None:
    value: Any = OPTIONS[name].default
    set_in_file(home.config, name, value)
    section, key = name.split(".")
    assert tomllib.loads(home.config.read_text()) == {section: {key: value}}
    assert load(home, env={}).sources[name].layer == "file"


@pytest.mark.parametrize(
    "written",
    [
        'node.name = "x"\n',
        'node = {name = "x", mdns = true}\n',
        "node = {mdns = true}",
        '"node".\'name\' = "x"\r\n[log]\r\nlevel = "info"\r\n',
        "[ node ]\nmdns = true",
        '[log]\nlevel = "info"\n[node]\nname = """\nx"""\nmdns = false\n[limits]\npeers = 20',
        "[node]\n[log]\n# the end\n",
    ],
)
def test_config_set_knows_every_way_to_write_a_setting(home: Home, written: str) -> None:
    home.config.write_bytes(written.encode())
    wanted = tomllib.loads(written)
    wanted.setdefault("node", {})["name"] = "y"
    set_in_file(home.config, "node.name", "y")
    assert tomllib.loads(home.config.read_bytes().decode()) == wanted
    assert load(home, env={}).config.node.name == "y"


def test_config_set_leaves_a_file_alone_where_it_refuses(home: Home) -> None:
    home.config.write_text('[node]\nname = "x"\n')
    with pytest.raises(ConfigError, match="no setting"):
        set_in_file(home.config, "node.nmae", "y")
    home.config.write_text('[node]\nname = "x\n')
    with pytest.raises(ConfigError, match="is not TOML"):
        set_in_file(home.config, "node.name", "y")
    assert home.config.read_text() == '[node]\nname = "x\n'


def test_home_is_the_flag_else_the_variable_else_the_users_data_folder(tmp_path: Path) -> None:
    assert find_home(tmp_path / "a", {"BANYAN_HOME": "/b"}).path == tmp_path / "a"
    assert find_home(None, {"BANYAN_HOME": str(tmp_path)}).path == tmp_path
    assert find_home(None, {}).path.name == "banyan"
    with pytest.raises(ConfigError, match=r"^--home is empty; name the node's folder"):
        find_home("", {"BANYAN_HOME": "/b"})
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="file is a file, and the node's folder is needed"):
        find_home(tmp_path / "file", {})


def test_a_home_is_accessible_to_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.prepare()
    home.prepare()
    assert home.path.stat().st_mode & 0o777 == 0o700
    home.config.write_text("")
    with pytest.raises(HomeError, match="--home"):
        Home(home.config / "under-a-file").prepare()


def test_by_default_a_hobbyist_holds_followed_accounts_and_a_platform_all(home: Home) -> None:
    def mode(text: str, **flags: str) -> tuple[str, str]:
        home.config.write_text(text)
        loaded = load(home, {name.replace("__", "."): value for name, value in flags.items()}, env={})
        return loaded.config.interest.mode, loaded.sources["interest.mode"].layer

    assert mode("") == ("follows", "default")
    assert mode("", interest__mode="all") == ("all", "flag")
    assert mode('[node]\nrole = "platform"\n') == ("all", "default")
    assert mode('[node]\nrole = "platform"\n[interest]\nmode = "follows"\n') == ("follows", "file")


def test_a_flag_is_called_as_it_was_typed(home: Home) -> None:
    for name, flag in (
        ("interest.mode", "--interest"),
        ("log.level", "--log-level"),
        ("control.port", "--control-port"),
    ):
        with pytest.raises(ConfigError, match=f"^{flag} sets {name} to 'sideways'"):
            load(home, {name: "sideways"}, env={})


PEER = "12D3KooWRz4a5s6qtKaQ9gKcbMBB8izLxreriD8SRnFwiBXxi1Qn"
TOGETHER = [
    ("limits.peers", 5, "limits.peers .* and discovery.active_view .*5 connections are too few for 6 neighbours"),
    ("discovery.active_view", 64, None),
    ("limits.ingest_queue_bytes", 1 << 20, "a frame of 4,194,304 bytes does not fit into a queue of 1,048,576"),
    ("node.listen", ["/ip4/127.0.0.1/tcp/4001", "/ip4/0.0.0.0/tcp/4001"], "port 4001 is named twice"),
    ("node.listen", ["/ip4/127.0.0.1/tcp/4001", "/ip4/10.0.0.1/tcp/4001"], None),
    ("node.listen", ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0"], None),
    ("http.address", "127.0.0.1:4001", None),
    ("node.bootstrap", ["/dns4/a.example/tcp/65535/p2p/" + PEER], None),
]


@pytest.mark.parametrize(("name", "value", "sentence"), TOGETHER)
def test_settings_that_do_not_fit_together_are_refused_when_loaded_and_when_set(
    home: Home, name: str, value: Any, sentence: str | None
) -> None:
    if sentence is None:
        load(home, {name: value}, env={})
        set_in_file(home.config, name, value)
        return
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(home, {name: value}, env={})
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=f"^{name} cannot be"):
        set_in_file(home.config, name, value)
    assert not home.config.exists()


def test_pairs_of_settings_name_both_sources(home: Home) -> None:
    home.config.write_text('[network]\ndeny = ["10.0.0.0/8"]\n[control]\nport = 4001\n')
    for door in ("127.0.0.1:4001", "0.0.0.0:4001", "localhost:4001"):
        with pytest.raises(
            ConfigError, match=r"control.port .* and http.address \(--http\) .*port 4001 is named twice"
        ):
            load(home, {"http.address": door}, env={})
    with pytest.raises(ConfigError, match=rf"network.allow \(.*\) and network.deny \({home.config}\)") as caught:
        load(home, env={"BANYAN_NETWORK_ALLOW": "10.1.0.0/16"})
    assert "BANYAN_NETWORK_ALLOW" in str(caught.value)
    peer = f"/ip4/10.1.2.3/tcp/1/p2p/{PEER}"
    with pytest.raises(ConfigError, match=r"is to be dialled, and 10\.0\.0\.0/8 is denied"):
        load(home, {"node.bootstrap": peer}, env={})
    for listen in ("/ip4/127.0.0.1/tcp/4001", "/ip4/0.0.0.0/tcp/4001"):
        with pytest.raises(ConfigError, match=r"control.port .* and node.listen .*port 4001 is named twice"):
            load(home, {"node.listen": listen}, env={})
    load(home, {"node.listen": "/ip4/10.0.0.1/tcp/4001"}, env={})


def test_a_file_with_two_disagreements_can_be_mended_one_by_one(home: Home) -> None:
    home.config.write_text('[limits]\npeers = 3\n[network]\ndeny = ["10.0.0.0/99"]\n[http]\nterms = "/etc"\n')
    set_in_file(home.config, "http.terms", "")
    set_in_file(home.config, "network.deny", ["10.0.0.0/9"])
    set_in_file(home.config, "limits.peers", 30)
    load(home, env={})
