"""`sparekey emergency fixed|one-time|end|status`: temporary tokencodes for online sign-ins.

Rules: the codes are shown once, when they are made. The operator also chooses then what happens if the token is
available again.
"""

from typing import Annotated

import typer

from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.online import DEFAULT_DAYS, MOST_CODES, AccessView, GivenAccess, Terms
from sparekey.app.emergency.showing import Showing
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, now, open_server
from sparekey.core.emergency.online import EmergencyKind, IfAvailable

Caller = Annotated[str, typer.Option(metavar="HOW", help="How the caller was identified.")]
Note = Annotated[str, typer.Option(help="A note for the audit log.")]
Ticket = Annotated[str, typer.Option(help="A ticket number for the audit log.")]
Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The token's serial number.")]
Lifetime = Annotated[
    int | None, typer.Option(metavar="DAYS", help=f"The lifetime of the codes in days. [{DEFAULT_DAYS}]")
]
NoExpiry = Annotated[bool, typer.Option("--no-expiry", help="The codes work until you end the access.")]
Rule = Annotated[
    IfAvailable,
    typer.Option(
        "--if-available",
        help="When the user has the token again. deny: refuse its codes; end: accept them, and the first use ends this "
        "access; after-lifetime: accept them after the lifetime.",
    ),
]
_RULES = {
    IfAvailable.DENY: "its codes are refused until you end this access",
    IfAvailable.END: "its first use ends this access",
    IfAvailable.AFTER_LIFETIME: "its codes are accepted after the lifetime; the first use ends this access",
}


def fixed(
    ctx: typer.Context,
    serial: Serial,
    caller: Caller,
    lifetime: Lifetime = None,
    no_expiry: NoExpiry = False,
    if_available: Rule = IfAvailable.DENY,
    note: Note = "",
    ticket: Ticket = "",
) -> None:
    """Make a temporary tokencode that can be used repeatedly. The user types it after the PIN, if the token has one."""
    terms, moment = _terms(lifetime, no_expiry, if_available), now()
    with open_server(call_of(ctx)) as server:
        given = server.run(online_emergency.give_fixed, serial, terms, Showing(caller, note, ticket), now=moment)
    _put_given(call_of(ctx), serial, given, moment)


def one_time(
    ctx: typer.Context,
    serial: Serial,
    count: Annotated[int, typer.Option(metavar="N", help=f"The number of tokencodes: 1 to {MOST_CODES}.")],
    caller: Caller,
    lifetime: Lifetime = None,
    no_expiry: NoExpiry = False,
    if_available: Rule = IfAvailable.DENY,
    note: Note = "",
    ticket: Ticket = "",
) -> None:
    """Make a set of one-time tokencodes. The user types them after the PIN, if the token has one."""
    terms, moment = _terms(lifetime, no_expiry, if_available), now()
    with open_server(call_of(ctx)) as server:
        given = server.run(
            online_emergency.give_one_time, serial, count, terms, Showing(caller, note, ticket), now=moment
        )
    _put_given(call_of(ctx), serial, given, moment)


def end(ctx: typer.Context, serial: Serial) -> None:
    """End the temporary online access of a token. Its codes stop working, and the token's own codes work again."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(online_emergency.end, serial, now=now())
    words = f"Ended the temporary online access of {serial}. If the token is marked as lost, it stays so."
    call.done(words, "emergency-end", serial=serial)


def status(ctx: typer.Context, serial: Serial) -> None:
    """Show the temporary online access of a token: expiry and remaining codes. Shows no code."""
    call, moment = call_of(ctx), now()
    with open_server(call) as server:
        view = server.run(online_emergency.access_of, serial, now=moment)
    if call.json:
        output.put_json("emergency-status", {"serial": serial, "online": _members(view) if view else None})
    elif view is None:
        output.say(f"Token {serial} has no temporary online access.")
    else:
        call.put("emergency-status", _words(view, moment))


def _terms(lifetime: int | None, no_expiry: bool, if_available: IfAvailable) -> Terms:
    if no_expiry and lifetime is not None:
        raise typer.BadParameter("pass either --lifetime or --no-expiry, not both")
    days = None if no_expiry else DEFAULT_DAYS if lifetime is None else lifetime
    return Terms(days, if_available)


def _put_given(call: Call, serial: str, given: GivenAccess, moment: int) -> None:
    if given.warning:
        output.say(given.warning)
    if call.json:
        members = {
            "serial": serial,
            "kind": given.kind.value,
            "codes": [code.reveal() for code in given.codes],
            "spelling": [list(words) for words in given.spelling()],
            "expires": output.rfc3339(given.expires_at),
            "if_available": given.if_available.value,
            "needs_pin": given.needs_pin,
            "replaced": given.replaced,
            "warning": given.warning,
        }
        output.put_json("emergency-access", members)
    else:
        _read_out(given, moment)


def _read_out(given: GivenAccess, moment: int) -> None:
    """Print codes for an operator to read out, or to hand over on paper."""
    for code, words in zip(given.codes, given.spelling(), strict=True):
        print(f"code      {code.reveal()}  {' '.join(words)}")
    print(f"works     {'repeatedly' if given.kind is EmergencyKind.FIXED else 'once each'}")
    print(f"expires   {_expiry(given.expires_at, moment)}")
    print(f"to type   {'the PIN, then the code' if given.needs_pin else 'the code alone: this token has no PIN'}")
    print(f"token     when the user has it again, {_RULES[given.if_available]}")
    if given.replaced:
        output.say("This replaces the token's previous temporary access.")
    output.say("These codes cannot be shown again.")


def _words(view: AccessView, moment: int) -> dict[str, str]:
    left = f"{view.left} of {view.codes}" if view.kind is EmergencyKind.ONE_TIME else "works repeatedly"
    return {
        "kind": view.kind.value,
        "codes_left": left,
        "expires": _expiry(view.expires_at, moment),
        "last_used": output.rfc3339(view.last_used_at) or "never",
        "if_available": _RULES[view.if_available],
        "given": f"{output.rfc3339(view.given_at)} by {view.giver}",
    }


def _members(view: AccessView) -> dict[str, object]:
    return {
        "kind": view.kind.value,
        "codes": view.codes,
        "left": view.left,
        "ended": view.ended,
        "if_available": view.if_available.value,
        "expires": output.rfc3339(view.expires_at),
        "last_used": output.rfc3339(view.last_used_at),
        "given": output.rfc3339(view.given_at),
        "given_by": view.given_by,
        "giver": view.giver,
    }


def _expiry(expires_at: int | None, moment: int) -> str:
    if expires_at is None:
        return "never"
    return f"{output.in_words(expires_at, moment)}, {output.local_and_utc(expires_at)}"
