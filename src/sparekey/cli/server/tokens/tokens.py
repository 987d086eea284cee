"""`sparekey token`: tokens and their PINs.

Rules:
- A seed is shown only on request, and never if it came from standard input.
- A PIN or a seed is never an argument, because other users of this machine can see arguments.
"""

import base64
import binascii
import re
import sys
from datetime import UTC, datetime
from typing import Annotated

import segno
import typer

from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import ISSUER, AddedToken, NewToken, TokenView
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, command, new_group, now, open_server, read_secret
from sparekey.cli.server.tokens import life_cycle as token_lifecycle
from sparekey.cli.server.tokens.imports import import_file
from sparekey.core.errors import BadInput
from sparekey.secret import Secret

_TIMES = {
    "expires": "expires_at",
    "pin_since": "pin_set_at",
    "created": "created_at",
    "online_emergency_expires": "online_emergency_expires",
}
app = new_group("Tokens and their PINs.")
Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The serial number.")]
command(app, "import", "token import tokens.sdtid --password-stdin --dry-run < password-file")(import_file)
command(app, "assign", "token assign 000123456789 alice")(token_lifecycle.assign)
command(app, "unassign", "token unassign 000123456789")(token_lifecycle.unassign)
command(app, "replace", "token replace 000123456789 --next-available --keep-pin")(token_lifecycle.replace)
command(app, "resync", "token resync 000123456789")(token_lifecycle.resync)
command(app, "remove", "token remove 000123456789")(token_lifecycle.remove)


@command(app, "add", "token add --type totp --user bob --no-pin --digits 8 --qr")
def add(
    ctx: typer.Context,
    user: Annotated[str, typer.Option(help="The login name of the user.")],
    kind: Annotated[str, typer.Option("--type", help="totp: time-based; hotp: event-based.")] = "totp",
    digits: Annotated[int, typer.Option(help="The digits of a tokencode: 6, 7 or 8.")] = 6,
    interval: Annotated[int, typer.Option(help="The seconds of a time step: 30 or 60. Only for totp.")] = 30,
    algorithm: Annotated[str, typer.Option(help="The hash function: sha1, sha256 or sha512.")] = "sha1",
    counter: Annotated[int, typer.Option(min=0, help="The counter of the next tokencode. Only for hotp.")] = 0,
    no_pin: Annotated[
        bool, typer.Option("--no-pin", help="The user types the tokencode alone, e.g. from an authenticator app.")
    ] = False,
    serial: Annotated[str, typer.Option(help="The serial number. [generated]")] = "",
    expires: Annotated[
        str, typer.Option(metavar="DATE", help="The expiry date: 2027-12-31, or an RFC 3339 time. [never]")
    ] = "",
    seed_stdin: Annotated[
        bool, typer.Option("--seed-stdin", help="Read the seed from standard input, as base32 or hex.")
    ] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Show the new seed as a QR code for an authenticator app.")] = False,
    show_seed: Annotated[bool, typer.Option("--show-seed", help="Show the new seed as text.")] = False,
) -> None:
    """Add a token for a user. Set its PIN with `token set-pin`, or let the user choose one at the first sign-in."""
    if kind not in ("totp", "hotp"):
        raise typer.BadParameter(f"{kind!r} is not a type of token; pass totp or hotp")
    if seed_stdin is (qr or show_seed):
        raise typer.BadParameter("pass --seed-stdin to read a seed, or --qr or --show-seed to show a new one")
    call = call_of(ctx)
    wish = NewToken(
        digits=digits,
        interval=interval,
        algorithm=algorithm.lower(),
        with_pin=not no_pin,
        serial=serial,
        type=kind,
        counter=counter,
        expires_at=read_date(expires),
        seed=read_seed(read_secret("Seed").reveal()) if seed_stdin else None,
    )
    with open_server(call) as server:
        made = server.run(tokens.add_token, user, wish, now=now())
    members: dict[str, object] = {
        "serial": made.serial,
        "user": user,
        "type": kind,
        "with_pin": wish.with_pin,
        "digits": digits,
        "interval": made.parameters.interval,
        "algorithm": wish.algorithm,
    }
    next_step = "" if no_pin else f" Set its PIN: {call.again} token set-pin {made.serial}"
    if not seed_stdin:
        members |= _seed_members(made, user, qr=qr, text=show_seed)
        _show_seed(call, made, user, qr=qr, text=show_seed)
    call.done(f"Added the token {made.serial} for {user}.{next_step}", "token", **members)


@command(app, "list", "token list --user alice")
def list_some(
    ctx: typer.Context,
    user: Annotated[str, typer.Option(help="Only tokens of this user.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="SERIAL", help="Start after this serial number.")] = "",
) -> None:
    """List tokens by serial number. The domain is the one of the token's user, or its own."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [_members(token) for token in server.run(tokens.list_tokens, limit, after, user or None)]
    columns = ["serial", "type", "user", "domain", "with_pin", "pin_set", "enabled", "lost", "expires"]
    call.put_list("tokens", rows, columns)


@command(app, "show", "token show SK01234567")
def show(ctx: typer.Context, serial: Serial) -> None:
    """Show a token, without its seed and PIN."""
    call = call_of(ctx)
    with open_server(call) as server:
        call.put("token", _members(server.run(tokens.show_token, serial)))


@command(app, "set-pin", "token set-pin SK01234567 < pin-file")
def set_pin(
    ctx: typer.Context,
    serial: Serial,
    must_change: Annotated[
        bool, typer.Option("--must-change", help="The user must choose a new PIN at the next sign-in.")
    ] = False,
) -> None:
    """Set or change the PIN: 4 to 8 letters or digits, as the token policy allows.

    The command asks for the PIN, or reads it from standard input.
    """
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(tokens.show_token, serial)  # refuse an unknown token before the PIN prompt
        server.run(tokens.set_pin, serial, read_secret("PIN", twice=True), must_change=must_change, now=now())
    call.done(f"Set the PIN of {serial}.", "token", serial=serial, pin_set=True)


@command(app, "clear-pin", "token clear-pin SK01234567")
def clear_pin(ctx: typer.Context, serial: Serial) -> None:
    """Clear the PIN. At the next sign-in, the user types the tokencode alone and chooses a new PIN."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(tokens.clear_pin, serial, now=now())
    words = (
        f"Cleared the PIN of {serial}. At the next sign-in, the user types the tokencode alone and chooses a new PIN."
    )
    call.done(words, "token", serial=serial, pin_set=False)


@command(app, "enable", "token enable SK01234567")
def enable(ctx: typer.Context, serial: Serial) -> None:
    """Enable a token."""
    _set_enabled(ctx, serial, enabled=True)


@command(app, "disable", "token disable SK01234567")
def disable(ctx: typer.Context, serial: Serial) -> None:
    """Disable a token, with its emergency codes."""
    _set_enabled(ctx, serial, enabled=False)


@command(app, "lost", "token lost SK01234567")
def lost(ctx: typer.Context, serial: Serial) -> None:
    """Mark a token as lost. The server refuses its tokencodes; its offline emergency tokencode still works."""
    _set_lost(ctx, serial, lost=True)


@command(app, "found", "token found SK01234567")
def found(ctx: typer.Context, serial: Serial) -> None:
    """Mark a lost token as found. The server accepts its tokencodes again."""
    _set_lost(ctx, serial, lost=False)


def _set_enabled(ctx: typer.Context, serial: str, *, enabled: bool) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(tokens.set_enabled, serial, enabled=enabled, now=now())
    call.done(f"{serial} is {'enabled' if enabled else 'disabled'}.", "token", serial=serial, enabled=enabled)


@command(app, "expire", "token expire SK01234567 2027-12-31")
def expire(
    ctx: typer.Context,
    serial: Serial,
    date: Annotated[str, typer.Argument(metavar="DATE", help="2027-12-31, an RFC 3339 time, or never.")],
) -> None:
    """Set the expiry date of a token. Its emergency codes expire then, too."""
    call, expires_at = call_of(ctx), None if date == "never" else read_date(date)
    if expires_at is None and date != "never":
        raise typer.BadParameter("pass a date, or never")
    with open_server(call) as server:
        server.run(tokens.set_expiry, serial, expires_at=expires_at, now=now())
    words = "does not expire" if expires_at is None else f"expires at {output.rfc3339(expires_at)}"
    call.done(f"{serial} {words}.", "token", serial=serial, expires=output.rfc3339(expires_at))


def _set_lost(ctx: typer.Context, serial: str, *, lost: bool) -> None:
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(tokens.set_lost, serial, lost=lost, now=now())
    call.done(f"{serial} is marked as {'lost' if lost else 'found'}.", "token", serial=serial, lost=lost)


def read_seed(text: str) -> Secret[bytes]:
    """Parse a seed in hex or base32; spaces and dashes are ignored. Raises BadInput, which never repeats the seed."""
    compact = re.sub(r"[\s-]", "", text)
    if compact and re.fullmatch(r"([0-9A-Fa-f]{2})+", compact):
        return Secret(bytes.fromhex(compact))
    try:
        seed = base64.b32decode(compact.upper().rstrip("=") + "=" * (-len(compact.rstrip("=")) % 8))
    except binascii.Error:
        seed = b""
    if not seed:
        raise BadInput("the seed is neither hex nor base32", "pass it on standard input in one of these formats")
    return Secret(seed)


def read_date(text: str) -> int | None:
    """Parse a day (its first second, UTC) or an RFC 3339 time; "": None. Raises BadInput."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is not a date", "write e.g. 2027-12-31 or 2027-12-31T18:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _seed_members(made: AddedToken, user: str, *, qr: bool, text: bool) -> dict[str, str]:
    seed = made.parameters.seed.reveal()
    members = {"otpauth": made.otpauth(user, ISSUER).reveal()} if qr else {}
    if text:
        members |= {"seed_hex": seed.hex(), "seed_base32": base64.b32encode(seed).decode().rstrip("=")}
    return members


def _show_seed(call: Call, made: AddedToken, user: str, *, qr: bool, text: bool) -> None:
    if call.json:
        return
    if qr:
        uri = made.otpauth(user, ISSUER).reveal()
        if sys.stdout.isatty():
            segno.make(uri, error="m").terminal(compact=True)
        print(uri)
    if text:
        output.put_members(_seed_members(made, user, qr=False, text=True))


def _members(view: TokenView) -> dict[str, object]:
    members = dict(vars(view))
    members["user"] = members.pop("login")
    for name, column in _TIMES.items():
        if column in members:
            members[name] = output.rfc3339(members.pop(column))
    return members
