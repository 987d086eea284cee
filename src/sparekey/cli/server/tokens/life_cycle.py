"""`sparekey token assign|unassign|replace|resync|remove`: the assignment of tokens to users.

Rules: tokencodes are never arguments; a command that takes something from a user prints the consequences.
"""

from typing import Annotated

import typer

from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import resync as token_resync
from sparekey.cli.server.command import call_of, now, open_server, read_secret
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.secret import Secret

Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The serial number.")]
_NO_PIN_YET = (
    "If the token needs a PIN, the user chooses one at the first sign-in, or you set it with `sparekey token set-pin`."
)


def assign(
    ctx: typer.Context,
    serial: Serial,
    user: Annotated[str, typer.Argument(metavar="USER", help="The login name of the user.")],
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not enable the token yet.")] = False,
) -> None:
    """Assign a token to a user."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(token_lifecycle.assign, serial, user, enable=not disabled, now=now())
    call.done(f"Assigned {serial} to {user}. {_NO_PIN_YET}", "token", serial=serial, user=user, enabled=not disabled)


def unassign(ctx: typer.Context, serial: Serial) -> None:
    """Unassign a token from its user. It is disabled, and its PIN and emergency codes end."""
    call = call_of(ctx)
    with open_server(call) as server:
        user = server.run(token_lifecycle.unassign, serial, now=now())
    call.done(
        f"Unassigned {serial} from {user}. Devices erase its data at their next contact.",
        "token",
        serial=serial,
        user=None,
        enabled=False,
    )


def replace(
    ctx: typer.Context,
    serial: Serial,
    new: Annotated[str, typer.Option("--with", metavar="SERIAL2", help="The new token.")] = "",
    next_available: Annotated[
        bool,
        typer.Option("--next-available", help="The next unassigned token, from the user's security domain upwards."),
    ] = False,
    keep_pin: Annotated[
        bool,
        typer.Option("--keep-pin/--new-pin", help="Keep the PIN, or let the user choose one at the first sign-in."),
    ] = True,
) -> None:
    """Replace the token of a user by another one. The old token is unassigned and disabled."""
    if bool(new) is next_available:
        raise typer.BadParameter("pass the new token: --with SERIAL2, or --next-available")
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(token_lifecycle.replace, serial, new or None, keep_pin=keep_pin, now=now())
    pin = "The new token keeps the PIN." if done.pin_kept else _NO_PIN_YET
    call.done(
        f"Replaced {done.old} of {done.login} by {done.new}. {pin} Devices accept their offline data of "
        f"{done.old} until their next contact.",
        "token",
        serial=done.new,
        user=done.login,
        replaced=done.old,
        pin_kept=done.pin_kept,
    )


def resync(ctx: typer.Context, serial: Serial) -> None:
    """Resync a drifted token, with two successive tokencodes.

    The command asks for them, or reads them from standard input, separated by white space. A wrong pair counts as a
    failed sign-in.
    """
    call = call_of(ctx)
    with open_server(call) as server:
        codes = read_secret("Two successive tokencodes").reveal().split()
        if len(codes) != 2:
            raise BadInput("these are not two tokencodes", "enter two successive tokencodes, separated by a space")
        first, second = (Secret(code) for code in codes)
        done = server.run(token_resync.resync, serial, first, second, now=now())
    done.verify_found()
    words = f"Resynced {serial}. Its drift is {counted(done.drift, 'step')}."
    call.done(words, "token", serial=serial, drift=done.drift)


def remove(
    ctx: typer.Context,
    serial: Serial,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it even if it is assigned.")] = False,
) -> None:
    """Remove a token. The audit log keeps its events."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(token_lifecycle.remove, serial, assigned_too=yes, now=now())
    call.done(f"Removed {serial}.", "token", serial=serial)
