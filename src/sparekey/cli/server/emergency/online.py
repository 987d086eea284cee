"""`sparekey emergency fixed|one-time|end|status`: tokencodes that the server alone accepts in place of a token's.

Rules: the codes are shown once, when they are made; what happens when the token turns up is chosen at the same moment.
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
Note = Annotated[str, typer.Option(help="Anything worth keeping.")]
Ticket = Annotated[str, typer.Option(help="The number of the ticket.")]
Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The token's serial number.")]
Lifetime = Annotated[
    int | None, typer.Option(metavar="DAYS", help=f"The codes work for so many days. [{DEFAULT_DAYS}]")
]
NoExpiry = Annotated[bool, typer.Option("--no-expiry", help="They work until the access is ended.")]
Rule = Annotated[
    IfAvailable,
    typer.Option(
        "--if-available",
        help="If the token turns up: deny: its codes are refused; end: its first use ends this access; "
        "after-lifetime: its codes are accepted after the lifetime.",
    ),
]
_RULES = {
    IfAvailable.DENY: "its codes are refused until somebody ends this access",
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
    """Give a temporary tokencode that works again and again. It is typed after the PIN, if the token has one."""
    terms, moment = _terms(lifetime, no_expiry, if_available), now()
    with open_server(call_of(ctx)) as server:
        given = server.run(online_emergency.give_fixed, serial, terms, Showing(caller, note, ticket), now=moment)
    _put_given(call_of(ctx), serial, given, moment)


def one_time(
    ctx: typer.Context,
    serial: Serial,
    count: Annotated[int, typer.Option(metavar="N", help=f"How many tokencodes: 1 to {MOST_CODES}.")],
    caller: Caller,
    lifetime: Lifetime = None,
    no_expiry: NoExpiry = False,
    if_available: Rule = IfAvailable.DENY,
    note: Note = "",
    ticket: Ticket = "",
) -> None:
    """Give a set of tokencodes that work once each. They are typed after the PIN, if the token has one."""
    terms, moment = _terms(lifetime, no_expiry, if_available), now()
    with open_server(call_of(ctx)) as server:
        given = server.run(
            online_emergency.give_one_time, serial, count, terms, Showing(caller, note, ticket), now=moment
        )
    _put_given(call_of(ctx), serial, given, moment)


def end(ctx: typer.Context, serial: Serial) -> None:
    """End online emergency access: its codes work no longer, and the token's own do again."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(online_emergency.end, serial, now=now())
    words = f"Online emergency access to {serial} has ended. Whether it is marked as lost is another matter."
    call.done(words, "emergency-end", serial=serial)


def status(ctx: typer.Context, serial: Serial) -> None:
    """Show the online emergency access of a token: until when, how many codes are left. Shows no code."""
    call, moment = call_of(ctx), now()
    with open_server(call) as server:
        view = server.run(online_emergency.access_of, serial, now=moment)
    if call.json:
        output.put_json("emergency-status", {"serial": serial, "online": _members(view) if view else None})
    elif view is None:
        output.say(f"Token {serial} has no online emergency access.")
    else:
        call.put("emergency-status", _words(view, moment))


def _terms(lifetime: int | None, no_expiry: bool, if_available: IfAvailable) -> Terms:
    if no_expiry and lifetime is not None:
        raise typer.BadParameter("give --lifetime or --no-expiry, not both")
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
    """For an operator on the telephone, or to be printed and handed over."""
    for code, words in zip(given.codes, given.spelling(), strict=True):
        print(f"code      {code.reveal()}  {' '.join(words)}")
    print(f"works     {'again and again' if given.kind is EmergencyKind.FIXED else 'once each'}")
    print(f"expires   {_expiry(given.expires_at, moment)}")
    print(f"to type   {'the PIN, then the code' if given.needs_pin else 'the code alone: this token has no PIN'}")
    print(f"token     if it turns up, {_RULES[given.if_available]}")
    if given.replaced:
        output.say("The access that this token had before has ended.")
    output.say("Nobody can show these codes again.")


def _words(view: AccessView, moment: int) -> dict[str, str]:
    left = f"{view.left} of {view.codes}" if view.kind is EmergencyKind.ONE_TIME else "works again and again"
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
