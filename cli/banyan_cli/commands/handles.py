"""Handles: names under the domain of a platform, such as lan@vn.example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Who
from banyan_cli.declare import root
from banyan_cli.errors import BadInput, Failed

if TYPE_CHECKING:
    from rich.console import Console

_handle = root.group("handle", "Handles: names under the domain of a platform, such as lan@vn.example.")
Name = Annotated[str, typer.Argument(metavar="HANDLE", help="Such as lan@vn.example.")]


@root.command()
def verify(
    s: Session,
    account: Who,
    title: Annotated[str | None, typer.Argument(metavar="TITLE", help="Such as 'Sở Y tế Huế'.")] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """For a platform: say that an account is an official channel. Its urgent posts are told to those who follow it."""
    if (title is None) != undo:
        raise BadInput("Say what the account speaks for, such as 'Sở Y tế Huế'; or --undo alone.")
    whom = refs.account(s, account)
    answer = s.call("official.verify", account=whom, title=title, undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else f"Verified: {title}.")


@_handle.command("claim")
def handle_claim(
    s: Session,
    handle: Annotated[str | None, typer.Argument(metavar="HANDLE", help="Such as lan@vn.example.")] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """Say that a handle is yours. Until its platform confirms it, it is shown as claimed only."""
    if (handle is None) != undo:
        raise BadInput("Give the handle that you claim, such as lan@vn.example; or --undo alone.")
    answer = s.call("handle.claim", handle=handle, undo=undo, by=by)
    s.out.done(answer, f"Claimed: {shown(answer['handle'])}." if answer["handle"] else "You claim no handle now.")


@_handle.command("domain")
def handle_domain(
    s: Session,
    domain: Annotated[str | None, typer.Argument(metavar="DOMAIN", help="Such as vn.example.")] = None,
    undo: Undo = False,
    by: By = None,
) -> None:
    """For a platform: say which domain is yours, so that the handles that you confirm count."""
    if (domain is None) != undo:
        raise BadInput("Give the domain of the platform, such as vn.example; or --undo alone.")
    answer = s.call("handle.domain", domain=domain, undo=undo, by=by)
    proof = f'Prove it in its DNS: _banyan.{answer["domain"]} TXT "account={answer["account"]}".'
    s.out.done(
        answer, f"The platform of {answer['domain']}. {proof}" if answer["domain"] else "The platform of none now."
    )


@_handle.command("confirm")
def handle_confirm(s: Session, handle: Name, account: Who, undo: Undo = False, by: By = None) -> None:
    """For a platform: confirm that a handle under your domain is an account's."""
    whom = refs.account(s, account)
    answer = s.call("handle.confirm", handle=handle, account=whom, undo=undo, by=by)
    waits = "" if answer["claimed"] else " It is shown once the account claims it: `banyan handle claim`."
    s.out.done(answer, "Taken back." if undo else f"Confirmed: {answer['handle']}.{waits}")


@_handle.command("find")
def handle_find(s: Session, handle: Name, by: By = None) -> None:
    """Whose a handle is."""
    rows = s.call("handle.find", handle=handle, by=by)["accounts"]
    refs.note(s.home, accounts=rows)
    s.out.answers(rows, _show, "Nobody who is held here claims it.")


@_handle.command("prove")
def handle_prove(
    s: Session,
    handle: Name,
    dns: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Ask this DNS server.")] = None,
    web: Annotated[str | None, typer.Option(metavar="URL", help="Ask this address instead of the domain's.")] = None,
    by: By = None,
) -> None:
    """Ask the domain itself, over DNS and the web, whether who confirms a handle is its platform."""
    from banyan_cli.domain_proof import in_dns, on_the_web

    rows = s.call("handle.find", handle=handle, by=by)["accounts"]
    confirmed = {one["account"]: row["account"] for row in rows for one in row["platforms"]}
    if not confirmed:
        raise Failed(f"Nobody confirms {handle}: {'it is claimed only' if rows else 'nobody held here claims it'}.")
    name, domain = rows[0]["handle"], rows[0]["handle"].partition("@")[2]
    said = [in_dns(domain, dns), on_the_web(web or f"https://{domain}/.well-known/banyan")]
    accounts = {confirmed[platform] for one in said for platform in one.accounts if platform in confirmed}
    if len(accounts) != 1:
        found = "; ".join(f"{one.where}: {one.why or 'it names ' + ', '.join(sorted(one.accounts))}" for one in said)
        why = "names several platforms, which disagree" if accounts else f"does not name {' or '.join(confirmed)}"
        raise Failed(f"Not proved: {domain} {why}. {found}.")
    proofs = [one.where for one in said if any(platform in confirmed for platform in one.accounts)]
    answer = {"handle": name, "account": accounts.pop(), "proofs": proofs}
    s.out.done(answer, f"{name} is {answer['account']}: so says {' and '.join(proofs)}.")


def shown(handle: dict[str, Any]) -> str:
    """`lan@vn.example, confirmed by Lotus`, or that it is claimed only."""
    from banyan_cli.show.phrases import name_of

    platforms = [name_of(one["account"], one["name"]) for one in handle["platforms"]]
    return f"{handle['handle']}, " + (f"confirmed by {', '.join(platforms)}" if platforms else "claimed only")


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table

    made = table("name", "confirmed by", "account")
    for row in rows:
        platforms = ", ".join(name_of(one["account"], one["name"]) for one in row["platforms"]) or "nobody"
        made.add_row(name_of(row["account"], row["name"]), platforms, Text(row["account"]))
    console.print(made)
