"""`sparekey emergency`: offline emergency tokencodes (of a token) and passcodes (of a user), and online access.

Rules: the operator reads out the code that the caller's device holds; the audit log has each code before it is shown.
"""

from typing import Annotated

import typer

from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.offline import ShownCode
from sparekey.app.emergency.showing import Showing
from sparekey.cli.server import output
from sparekey.cli.server.audit_log.events import put_rows
from sparekey.cli.server.command import call_of, command, new_group, now, open_server
from sparekey.cli.server.emergency import online as online_emergency
from sparekey.cli.server.emergency.online import Caller, Note, Ticket
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.plurals import counted

app = new_group("Emergency codes: tokencodes of a token, passcodes of a user, and temporary online tokencodes.")
passcode = new_group("Offline emergency passcodes: they replace PIN and tokencode.")
app.add_typer(passcode, name="passcode")
command(app, "fixed", "emergency fixed SK01234567 --caller 'called back' --lifetime 3")(online_emergency.fixed)
command(app, "one-time", "emergency one-time SK01234567 --count 5 --caller 'called back'")(online_emergency.one_time)
command(app, "end", "emergency end SK01234567")(online_emergency.end)
command(app, "status", "emergency status SK01234567")(online_emergency.status)

Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The token's serial number.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's login name.")]
Device = Annotated[
    str | None,
    typer.Option(help="The caller's device: name or id. [the only one that holds a code]"),
]


@command(app, "show", "emergency show SK01234567 --device laptop --caller 'called back'")
def show(
    ctx: typer.Context, serial: Serial, caller: Caller, device: Device = None, note: Note = "", ticket: Ticket = ""
) -> None:
    """Show the offline emergency tokencode of a device. The user types it after the PIN, if the token has one."""
    _show(ctx, CodeKind.TOKENCODE, serial, device, Showing(caller, note, ticket))


@command(app, "reset", "emergency reset SK01234567")
def reset(ctx: typer.Context, serial: Serial) -> None:
    """Replace the code at the next online sign-in. The old code works until then."""
    _reset(ctx, CodeKind.TOKENCODE, serial)


@command(app, "online", "emergency online SK01234567 --on")
def online(
    ctx: typer.Context,
    serial: Serial,
    allowed: Annotated[bool | None, typer.Option("--on/--off", help="Accept it, or refuse it.")] = None,
) -> None:
    """Allow or forbid the offline emergency tokencode for online sign-ins."""
    if allowed is None:
        raise typer.BadParameter("pass --on or --off")
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(emergency.set_online, serial, allowed=allowed, now=now())
    words = f"The server {'now accepts' if allowed else 'does not accept'} the offline emergency tokencode of {serial}."
    call.done(words, "emergency-online", serial=serial, allowed=allowed)


@command(app, "history", "emergency history SK01234567")
def history(ctx: typer.Context, serial: Serial) -> None:
    """List the events of the emergency tokencode, newest first: shown, reset, used, replaced."""
    _history(ctx, CodeKind.TOKENCODE, serial)


@command(app, "held", "emergency held SK01234567")
def held(ctx: typer.Context, serial: Serial) -> None:
    """List the devices that hold a code, with its version and expiry. Shows no code."""
    _held(ctx, CodeKind.TOKENCODE, serial)


@command(passcode, "show", "emergency passcode show alice --caller 'at the desk, with a badge'")
def show_passcode(
    ctx: typer.Context, user: User, caller: Caller, device: Device = None, note: Note = "", ticket: Ticket = ""
) -> None:
    """Show the offline emergency passcode of a device. It replaces PIN and tokencode."""
    _show(ctx, CodeKind.PASSCODE, user, device, Showing(caller, note, ticket))


@command(passcode, "reset", "emergency passcode reset alice")
def reset_passcode(ctx: typer.Context, user: User) -> None:
    """Replace the passcode at the next online sign-in. The old one works until then."""
    _reset(ctx, CodeKind.PASSCODE, user)


@command(passcode, "history", "emergency passcode history alice")
def passcode_history(ctx: typer.Context, user: User) -> None:
    """List the events of the emergency passcode, newest first: shown, reset, used, replaced."""
    _history(ctx, CodeKind.PASSCODE, user)


@command(passcode, "held", "emergency passcode held alice")
def passcode_held(ctx: typer.Context, user: User) -> None:
    """List the devices that hold a code, with its version and expiry. Shows no code."""
    _held(ctx, CodeKind.PASSCODE, user)


def _show(ctx: typer.Context, kind: CodeKind, name: str, device: str | None, showing: Showing) -> None:
    call, moment = call_of(ctx), now()
    with open_server(call) as server:
        shown = server.run(emergency.show, kind, name, device, showing, now=moment)
    if shown.warning:
        output.say(shown.warning)
    if call.json:
        output.put_json(
            "emergency-code",
            {
                "kind": kind.value,
                "device": shown.device,
                "version": shown.version,
                "code": shown.groups.reveal(),
                "spelling": [list(group) for group in shown.spelling()],
                "expires": output.rfc3339(shown.not_after),
                "needs_pin": shown.needs_pin,
                "warning": shown.warning,
            },
        )
    else:
        _read_out(shown, kind, name, moment)


def _read_out(shown: ShownCode, kind: CodeKind, name: str, moment: int) -> None:
    """Print a code for an operator to read out on the telephone."""
    print(f"device    {shown.device} (code version {shown.version}; its login screen shows the same version)")
    print(f"code      {shown.groups.reveal()}")
    for number, (group, words) in enumerate(zip(shown.groups.reveal().split("-"), shown.spelling(), strict=True), 1):
        print(f"  group {number} {group}  {' '.join(words)}")
    print(f"expires   {output.in_words(shown.not_after, moment)}, {output.local_and_utc(shown.not_after)}")
    if shown.needs_pin:
        print("to type   the PIN, then this code")
    elif kind is CodeKind.PASSCODE:
        print("to type   this code alone: it replaces PIN and tokencode")
    else:
        print("to type   this code alone: this token has no PIN")
    where = "only while that computer cannot reach its server"
    if kind is CodeKind.TOKENCODE:
        where += f"; also online after `sparekey emergency online {name} --on`"
    print(f"works     {where}")


def _reset(ctx: typer.Context, kind: CodeKind, name: str) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        count = server.run(emergency.reset, kind, name, now=now())
    words = (
        f"{counted(count, 'device gets', 'devices get')} a new code for {name} at the next online sign-in. "
        "The old code works until then."
    )
    call.done(words, "emergency-reset", name=name, devices=count)


def _history(ctx: typer.Context, kind: CodeKind, name: str) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        rows = server.run(emergency.history, kind, name)
    put_rows(call, "history", rows, ["at", "by", "action", "result", "device", "detail"])


def _held(ctx: typer.Context, kind: CodeKind, name: str) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        codes = server.run(emergency.held_codes, kind, name)
    rows: list[dict[str, object]] = [
        {
            "device": code.device,
            "device_id": code.device_id,
            "version": code.version or None,
            "expires": output.rfc3339(code.not_after or None),
            "held_since": output.rfc3339(code.held_since or None),
            "pending": code.pending,
            "reset": code.reset,
        }
        for code in codes
    ]
    call.put_list("held", rows, ["device", "version", "expires", "held_since", "pending", "reset"])
    if not rows:
        output.say("No device holds a code yet. The user must first sign in online from a device.")
