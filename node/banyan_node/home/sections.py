"""The settings of the door for apps, browsers and other backends, and of the log."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from banyan_node.home.values import (
    Check,
    Cidr,
    PathCheck,
    about,
    at_most,
    between,
    lacks_file,
    lacks_folder,
    why_no_bind,
    why_no_domain,
    why_no_log,
    why_no_mail,
    why_no_text,
    why_no_url,
)

_TextFile = PathCheck(why_no_text, lacks_file)


class HttpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The door for apps, browsers and other backends."""

    address: Annotated[
        str,
        at_most(
            200,
            "Where HTTP is served; empty: nowhere. Outside of this machine put a proxy with TLS before it",
            "HOST:PORT such as 127.0.0.1:8080, or unix:PATH",
        ),
        Check(why_no_bind),
    ] = ""
    workers: Annotated[
        int,
        between(
            0, 64, "Processes that serve HTTP beside the node, so that each can use a core; 0: the node itself does"
        ),
    ] = 0
    url: Annotated[
        str,
        at_most(
            200,
            "The address by which apps and browsers know it; empty: as above",
            "http:// or https:// and a name, such as https://social.example.org",
        ),
        Check(why_no_url),
    ] = ""
    domain: Annotated[
        str,
        at_most(253, "The domain in names of accounts; empty: that of `http.url`", "a name such as social.example.org"),
        Check(why_no_domain),
    ] = ""
    title: Annotated[str, at_most(100, "What apps call this server")] = "Banyan"
    description: Annotated[str, at_most(500, "What apps say of this server, plain text of a sentence or two")] = ""
    email: Annotated[
        str,
        at_most(200, "Where people reach who runs this server; apps show it", "an address of mail"),
        Check(why_no_mail),
    ] = ""
    rules: Annotated[
        list[Annotated[str, Meta(max_length=500, title="texts")]],
        at_most(50, "The rules of this server, a text each; reports name them, by their numbers"),
    ] = field(default_factory=list)
    terms: Annotated[
        str,
        at_most(
            300,
            "The terms of service; inside the home unless the path begins with a slash; empty: there are none",
            "a file of plain text, at most 256 KiB",
        ),
        _TextFile,
    ] = ""
    privacy: Annotated[
        str,
        at_most(
            300,
            "The privacy policy, in a file like that; empty: there is none",
            "a file of plain text, at most 256 KiB",
        ),
        _TextFile,
    ] = ""
    proxies: Annotated[
        list[Cidr],
        at_most(
            64, "Networks (CIDR) of proxies before it, whose X-Forwarded-For is believed; a Unix socket is always one"
        ),
    ] = field(default_factory=lambda: ["127.0.0.0/8", "::1/128"])
    token_rate: Annotated[
        int,
        between(
            0,
            1_000_000,
            "Requests in five minutes with one token; 0: no limit. Tokens with `host`, `admin` or `firehose` have none",
        ),
    ] = 1_500
    address_rate: Annotated[
        int,
        between(
            0,
            1_000_000,
            "Requests in five minutes without a token from one address (IPv6: /64), and twenty times the "
            "streams that it may have open; 0: no limit",
        ),
    ] = 600
    anonymous_cpu: Annotated[
        int,
        between(
            0,
            100_000,
            "What all together may have of the processor who ask without a token of a person, over a "
            "minute; one address has an eighth of it, one /24 or /48 a quarter; 0: no limit",
            "percent of one core, 0 to 100000",
        ),
    ] = 40
    connections: Annotated[
        int, between(4, 65536, "Connections at once; above it, one that never showed a token is closed")
    ] = 4_096
    browser_accounts: Annotated[
        bool,
        about(
            "Takes new accounts whose keys are in a browser (the page /own) from everybody; otherwise from "
            "people who are logged in. They count as strangers (`storage.strangers`)"
        ),
    ] = False
    local_webhooks: Annotated[
        bool,
        about(
            "Webhooks, and reads of members' public logs, may go to this machine and private networks, also over http"
        ),
    ] = False
    local_push: Annotated[
        bool,
        about(
            "Push messages may go to this machine and to private networks too, also over http: for a push "
            "service of one's own. Every hosted person may then name addresses there"
        ),
    ] = False
    cards: Annotated[
        Literal["off", "own", "read"],
        about(
            "Which pages the node asks for, to show a card under a link: none; those that accounts hosted "
            "here link (own); also those that people who are logged in here are shown (read)"
        ),
    ] = "own"
    local_cards: Annotated[
        bool,
        about(
            "Cards also of pages on this machine and in private networks. Every hosted person may then "
            "have addresses there asked for"
        ),
    ] = False


# The log.


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The node's log, on standard error or in a file."""

    level: Annotated[Literal["debug", "info", "warning", "error"], about("The lowest level that is logged")] = "info"
    format: Annotated[
        Literal["auto", "console", "json"], about("auto: coloured on a terminal, JSON lines otherwise")
    ] = "auto"
    file: Annotated[
        str,
        at_most(
            400,
            "A file instead of standard error, inside the home unless the path begins with a slash; after "
            "it was moved away, SIGHUP makes a new one",
        ),
        PathCheck(why_no_log, lacks_folder),
    ] = ""
