"""`sparekey token assign|unassign|replace|resync|remove`: who has a token, and where it is.

Rules: two tokencodes are never arguments; what takes something from a user says what follows from it.
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
    "Unless it is used without one, the user chooses a PIN at the first sign-in, or `sparekey token set-pin` sets one."
)


def assign(
    ctx: typer.Context,
    serial: Serial,
    user: Annotated[str, typer.Argument(metavar="USER", help="The login name of the user who gets it.")],
    disabled: Annotated[bool, typer.Option("--disabled", help="Do not enable it yet.")] = False,
) -> None:
    """Give a token that nobody has to a user."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(token_lifecycle.assign, serial, user, enable=not disabled, now=now())
    call.done(f"Assigned {serial} to {user}. {_NO_PIN_YET}", "token", serial=serial, user=user, enabled=not disabled)


def unassign(ctx: typer.Context, serial: Serial) -> None:
    """Take a token from its user: its PIN and its emergency codes end, and it is disabled."""
    call = call_of(ctx)
    with open_server(call) as server:
        user = server.run(token_lifecycle.unassign, serial, now=now())
    call.done(
        f"Took {serial} from {user}. Devices erase what they hold of it at their next contact.",
        "token",
        serial=serial,
        user=None,
        enabled=False,
    )


def replace(
    ctx: typer.Context,
    serial: Serial,
    new: Annotated[str, typer.Option("--with", metavar="SERIAL2", help="The token that takes its place.")] = "",
    next_available: Annotated[
        bool, typer.Option("--next-available", help="The next one that nobody has, from the user's security domain up.")
    ] = False,
    keep_pin: Annotated[
        bool, typer.Option("--keep-pin/--new-pin", help="Whether the PIN stays, or is chosen at the first sign-in.")
    ] = True,
) -> None:
    """Give the user another token in this one's place. This one is taken from its user and disabled."""
    if bool(new) is next_available:
        raise typer.BadParameter("say which token takes its place: --with SERIAL2, or --next-available")
    call = call_of(ctx)
    with open_server(call) as server:
        done = server.run(token_lifecycle.replace, serial, new or None, keep_pin=keep_pin, now=now())
    pin = "The PIN stays." if done.pin_kept else _NO_PIN_YET
    call.done(
        f"{done.new} took the place of {done.old} for {done.login}. {pin} Until a device's next contact it accepts "
        f"what it holds of {done.old}.",
        "token",
        serial=done.new,
        user=done.login,
        replaced=done.old,
        pin_kept=done.pin_kept,
    )


def resync(ctx: typer.Context, serial: Serial) -> None:
    """Synchronise a token whose clock or counter has run away, by two tokencodes that follow one another.

    They are read from standard input with white space between them, or asked for. A wrong pair counts as a failure.
    """
    call = call_of(ctx)
    with open_server(call) as server:
        codes = read_secret("Two tokencodes that follow one another").reveal().split()
        if len(codes) != 2:
            raise BadInput("these are not two tokencodes", "enter two that follow one another, with a space between")
        first, second = (Secret(code) for code in codes)
        done = server.run(token_resync.resync, serial, first, second, now=now())
    done.verify_found()
    words = f"{serial} is synchronised; it is {counted(done.drift, 'interval')} off."
    call.done(words, "token", serial=serial, drift=done.drift)


def remove(
    ctx: typer.Context,
    serial: Serial,
    yes: Annotated[bool, typer.Option("--yes", help="Even if somebody has it.")] = False,
) -> None:
    """Delete a token. What happened with it stays on record."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(token_lifecycle.remove, serial, assigned_too=yes, now=now())
    call.done(f"Removed {serial}.", "token", serial=serial)
