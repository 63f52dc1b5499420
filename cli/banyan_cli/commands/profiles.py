"""Who an account says it is: its profile, its handle, and the account that it goes on as."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session, put
from banyan_cli.declare import Fields, Wrong, root
from banyan_cli.errors import BadInput, Failed
from banyan_cli.parameters import By, Undo, Who, Whose
from banyan_cli.show.tables import Row, aside, columns, count, labelled, named, styled
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console


_profile = root.group("profile", "Who an account says it is.", alone="show")
_handle = root.group("handle", "Handles: names under the domain of a platform, such as lan@vn.example.")
_move = root.group("move", "Go on as another account. The new one says `move from` first.")
Handle = Annotated[str, typer.Argument(metavar="HANDLE", help="Such as lan@vn.example.")]
PICTURES = ("avatar", "banner")


def _shown(handle: Row) -> str:
    """`lan@vn.example, confirmed by Lotus`, or that it is claimed only."""
    platforms = ", ".join(map(named, handle["platforms"]))
    return f"{handle['handle']}, " + (f"confirmed by {platforms}" if platforms else "claimed only")


def _show(console: Console, value: Row) -> None:
    from banyan_cli.show.feed import media_line

    console.print(styled((named(value), "bold")))
    console.print(styled((value["account"], "dim")), soft_wrap=True)
    if to := value["moved_to"]:
        console.print(styled((f"moved to {named(to)}  ", "bold"), (to["account"], "dim")), soft_wrap=True)
    if value["also_was"]:
        aside(console, "was " + ", ".join(map(named, value["also_was"])))
    for one in value["official"]:
        console.print(f"{plain(one['title'])}, verified by {named(one['platform'])}")
    if value["handle"]:
        console.print(_shown(value["handle"]))
    for field, text in value["fields"].items():
        if field not in ("name", "handle"):
            labelled(console, plain(field), text)
    for name in PICTURES:
        if picture := value["pictures"].get(name):
            console.print(styled((f"{name}: ", "dim")) + media_line(picture))
    counts = count(value["posts"], "post"), f"follows {value['follows']:,}", count(value["followers"], "follower")
    aside(console, *counts)
    for row in value["pinned"]:
        console.print(styled(("pinned  ", "dim"), (refs.short(row["uri"]), "dim"), f"  {plain(row['text'])}"))
    if names := [named(one) for one in value.get("following", [])]:
        console.print(styled(("follows ", "dim"), ", ".join(names)))


@_profile.value("profile.get", _show, seen=lambda value: {"accounts": [value], "posts": value["pinned"]})
def profile_show(account: Whose = None) -> None:
    """An account's profile, and whom it follows."""


@_profile.command()
def profile_set(
    s: Session,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE", help="Such as name='Minh Anh' bio='...'.", show_default=False),
    ] = None,
    avatar: Annotated[str | None, typer.Option(metavar="FILE", help="Your picture.")] = None,
    avatar_alt: Annotated[str | None, typer.Option(metavar="TEXT", help="What it shows.")] = None,
    no_avatar: Annotated[bool, typer.Option("--no-avatar", help="Take your picture away.")] = False,
    banner: Annotated[str | None, typer.Option(metavar="FILE", help="The wide picture above your profile.")] = None,
    banner_alt: Annotated[str | None, typer.Option(metavar="TEXT", help="What it shows.")] = None,
    no_banner: Annotated[bool, typer.Option("--no-banner", help="Take it away.")] = False,
    by: Annotated[str | None, typer.Option("--as", help="Which account hosted here; yours when left out.")] = None,
) -> None:
    """Say who you are, in words and pictures."""
    given = dict[str, str]()
    for field in fields or ():
        name, equals, value = field.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"'{field}' is not FIELD=VALUE; write, for example, name='Minh Anh'.")
        if name.strip() in PICTURES:
            raise BadInput(f"'{name.strip()}' is a picture; give its file: --{name.strip()} FILE.")
        given[name.strip()] = value
    files = {"avatar": (avatar, avatar_alt, no_avatar), "banner": (banner, banner_alt, no_banner)}
    for name, (file, told, gone) in files.items():
        if file is not None and gone:
            raise BadInput(f"--{name} and --no-{name} exclude one another; choose one.")
        if told is not None and file is None:
            raise BadInput(f"--{name}-alt describes the file of --{name}; give both.")
    if not given and not any(file is not None or gone for file, _, gone in files.values()):
        raise BadInput("Nothing is to be set; write, for example, name='Minh Anh' or --avatar FILE.")
    pictures = {name: _picture(s, file, told) for name, (file, told, gone) in files.items() if file or gone}
    answer = s.call("profile.set", fields=given or None, pictures=pictures or None, by=by)
    says, away = [*given, *(n for n in pictures if pictures[n])], [n for n in pictures if not pictures[n]]
    said = [f"The profile says {', '.join(says)} now."] if says else []
    s.out.done(answer, " ".join([*said, *(f"It has no {name} now." for name in away)]))


def _picture(s: Session, file: str | None, told: str | None) -> dict[str, str | None] | None:
    """As `profile.set` takes it: put first, so that nothing is set if it is refused."""
    return None if file is None else {"blob": put(s, file)["blob"], "description": told}


# Handles.


def _unless_undone(name: str, wanted: str) -> Wrong:
    """Either the argument is given, or --undo."""
    return lambda typed: "" if (typed[name] is None) == typed["undo"] else f"{wanted}; or --undo alone."


@root.act(
    "official.verify",
    "Verified: {typed[title]}.",
    wrong=_unless_undone("title", "Say what the account speaks for, such as 'Sở Y tế Huế'"),
)
def verify(
    account: Who,
    title: Annotated[str | None, typer.Argument(metavar="TITLE", help="Such as 'Sở Y tế Huế'.")] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """For a platform: say that an account is an official channel. Its urgent posts are told to those who follow it."""


@_handle.act(
    "handle.claim",
    undone="You claim no handle now.",
    wrong=_unless_undone("handle", "Give the handle that you claim, such as lan@vn.example"),
)
def handle_claim(
    answer: Fields,
    handle: Annotated[str | None, typer.Argument(metavar="HANDLE", help="Such as lan@vn.example.")] = None,
    undo: Undo = False,
    by: By = None,
) -> str:
    """Say that a handle is yours. Until its platform confirms it, it is shown as claimed only."""
    return f"Claimed: {_shown(answer['handle'])}."


@_handle.act(
    "handle.domain",
    'The platform of {domain}. Prove it in its DNS: _banyan.{domain} TXT "account={account}".',
    undone="The platform of none now.",
    wrong=_unless_undone("domain", "Give the domain of the platform, such as vn.example"),
)
def handle_domain(
    domain: Annotated[str | None, typer.Argument(metavar="DOMAIN", help="Such as vn.example.")] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """For a platform: say which domain is yours, so that the handles that you confirm count."""


@_handle.act("handle.confirm")
def handle_confirm(answer: Fields, handle: Handle, account: Who, undo: Undo = False, by: By = None) -> str:
    """For a platform: confirm that a handle under your domain is an account's."""
    waits = "" if answer["claimed"] else " It is shown once the account claims it: `banyan handle claim`."
    return f"Confirmed: {answer['handle']}.{waits}"


_CLAIMS = columns(
    ("name", named),
    ("confirmed by", lambda row: ", ".join(map(named, row["platforms"])) or "nobody"),
    ("account", "account"),
)


@_handle.rows("handle.find", _CLAIMS, "Nobody who is held here claims it.", field="accounts", seen="accounts")
def handle_find(handle: Handle, by: By = None) -> None:
    """Whose a handle is."""


# Asks the world outside whose a domain is: its DNS, and its web server. Both say `account=did:banyan:z...`, the account
# of the domain's platform. Who controls the answers of the resolver, or a certificate that this machine trusts, can say
# something else; DNSSEC is not checked.

PROOF_SECONDS = 5.0
MOST_BYTES = 64 << 10
"""Bytes of an answer of the web server that are read."""
_SAID = re.compile(r"^\s*account=(did:banyan:\S+)\s*$", re.MULTILINE)


class DomainAnswer(NamedTuple):
    """where: what was asked. accounts: the DIDs that it names. why: it names none, or could not be asked."""

    where: str
    accounts: frozenset[str]
    why: str = ""


def _in_dns(domain: str, server: str | None = None) -> DomainAnswer:
    """server: `ADDRESS` or `ADDRESS:PORT` of a DNS server; None: that of the system. Raises BadInput."""
    import dns.exception
    import dns.resolver

    name = f"_banyan.{domain}"
    where = f"the DNS ({name} TXT)"
    try:
        resolver = dns.resolver.Resolver(configure=server is None)
    except dns.exception.DNSException as error:
        return DomainAnswer(where, frozenset(), f"this machine has no resolver: {error}")
    if server is not None:
        host, port = _server(server)
        resolver.nameservers, resolver.port = [host], port
    try:
        answer = resolver.resolve(name, "TXT", lifetime=PROOF_SECONDS, search=False)
        texts = [b"".join(row.strings).decode("utf-8", "replace") for row in answer]
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return DomainAnswer(where, frozenset(), "it says nothing")
    except (dns.exception.DNSException, OSError) as error:
        return DomainAnswer(where, frozenset(), f"it does not answer: {error}")
    return _of(where, "\n".join(texts))


def on_the_web(url: str) -> DomainAnswer:
    """url: such as https://vn.example/.well-known/banyan. Redirects are not followed."""
    import httpx

    try:
        with httpx.stream("GET", url, timeout=PROOF_SECONDS) as answer:
            if answer.status_code != 200:
                return DomainAnswer(url, frozenset(), f"it answers with status {answer.status_code}")
            raw = b""
            for piece in answer.iter_bytes():
                raw += piece
                if len(raw) > MOST_BYTES:
                    return DomainAnswer(url, frozenset(), f"it answers with more than {MOST_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return DomainAnswer(url, frozenset(), f"it does not answer: {error}")
    return _of(url, raw.decode("utf-8", "replace"))


def _of(where: str, text: str) -> DomainAnswer:
    found = frozenset(_SAID.findall(text))
    return DomainAnswer(where, found, "" if found else "it names no account")


def _server(text: str) -> tuple[str, int]:
    import ipaddress

    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "53")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65_536:
        raise BadInput(f"'{text[:60]}' is no DNS server; give its address, such as 9.9.9.9 or 127.0.0.1:5353.")
    return host, number


@_handle.command()
def handle_prove(
    s: Session,
    handle: Handle,
    dns: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Ask this DNS server.")] = None,
    web: Annotated[str | None, typer.Option(metavar="URL", help="Ask this address instead of the domain's.")] = None,
    by: By = None,
) -> None:
    """Ask the domain itself, over DNS and the web, whether who confirms a handle is its platform."""
    rows = s.call("handle.find", handle=handle, by=by)["accounts"]
    confirmed = {one["account"]: row["account"] for row in rows for one in row["platforms"]}
    if not confirmed:
        raise Failed(f"Nobody confirms {handle}: {'it is claimed only' if rows else 'nobody held here claims it'}.")
    name, domain = rows[0]["handle"], rows[0]["handle"].partition("@")[2]
    said = [_in_dns(domain, dns), on_the_web(web or f"https://{domain}/.well-known/banyan")]
    accounts = {confirmed[platform] for one in said for platform in one.accounts if platform in confirmed}
    if len(accounts) != 1:
        found = "; ".join(f"{one.where}: {one.why or 'it names ' + ', '.join(sorted(one.accounts))}" for one in said)
        why = "names several platforms, which disagree" if accounts else f"does not name {' or '.join(confirmed)}"
        raise Failed(f"Not proved: {domain} {why}. {found}.")
    proofs = [one.where for one in said if any(platform in confirmed for platform in one.accounts)]
    answer = {"handle": name, "account": accounts.pop(), "proofs": proofs}
    s.out.done(answer, f"{name} is {answer['account']}: so says {' and '.join(proofs)}.")


# An account that goes on as another one. The new one says so first, then the old one.


@_move.act("move.from")
def move_from(answer: Fields, account: Who, undo: Undo = False, by: By = None) -> str:
    """At the new account: say that you also were ACCOUNT."""
    seen = "Others see the move." if answer["agreed"] else "Now say `banyan move to` as the old account."
    return f"You say that you were {answer['account']}. {seen}"


@_move.act("move.to", "Moved to {account}: your followers are told.")
def move_to(account: Who, undo: Undo = False, by: By = None) -> None:
    """At the old account: say that you go on as ACCOUNT. Your followers are told."""
