"""`sparekey device`: protected computers."""

import os
import sys
from typing import Annotated

import typer

from sparekey.app.devices import devices, invitations, used_codes
from sparekey.app.devices import stolen as devices_stolen
from sparekey.app.instance import TOP_DOMAIN
from sparekey.cli.server import output
from sparekey.cli.server.command import Call, call_of, command, new_group, now, open_server
from sparekey.cli.server.devices.used_codes import USED_COLUMNS, used_members
from sparekey.core.errors import BadInput
from sparekey.core.plurals import counted
from sparekey.durations import DAY_SECONDS

app = new_group("Protected computers: invite, show, revoke, report as stolen.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The device's name, or its id.")]


@command(app, "invite", "device invite laptop-17 --domain Sales")
def invite(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new device.")],
    domain: Annotated[str, typer.Option(help="The security domain of the device.")] = TOP_DOMAIN,
    hours: Annotated[int, typer.Option(min=1, max=720, help="The lifetime of the code in hours.")] = 24,
) -> None:
    """Make a one-time code to enrol a device. The code also tells the device which CA to trust."""
    call, moment = call_of(ctx), now()
    with open_server(call) as server:
        code = server.run(invitations.invite, name, domain, now=moment, lifetime=hours * 3_600)
    expires = moment + hours * 3_600
    url, more = _address(call)
    if call.json:
        members = {"name": name, "code": code.text().reveal(), "expires": output.rfc3339(expires)}
        output.put_json("invitation", members | {"server": url or None})
        return
    print(code.text().reveal())
    output.say(f"The code works once, until {output.local_and_utc(expires)}. Run on the device, as root:")
    output.say(f"  sparekey-agent enroll --server {url or 'https://NAME:PORT'} --code -")
    if more:
        output.say(more)


@command(app, "invitations", "device invitations")
def list_invitations(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Start after the one with this id.")] = "",
) -> None:
    """List unused invitations."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [
            {
                "name": invitation.name,
                "id": invitation.id,
                "domain": invitation.domain,
                "invited": output.rfc3339(invitation.created_at),
                "expires": output.rfc3339(invitation.expires_at),
            }
            for invitation in server.run(invitations.list_invitations, limit, after, now=now())
        ]
    call.put_list("invitations", rows, ["name", "id", "domain", "invited", "expires"])


@command(app, "uninvite", "device uninvite INVITATION")
def uninvite(
    ctx: typer.Context,
    invitation_id: Annotated[str, typer.Argument(metavar="ID", help="The id in `device invitations`.")],
) -> None:
    """Withdraw an invitation. Its code no longer works."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(invitations.withdraw, invitation_id, now=now())
    call.done("Withdrew the invitation.", "invitation", id=invitation_id, withdrawn=True)


@command(app, "list", "device list")
def list_some(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The maximum number.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", help="Start after the one with this id.")] = "",
) -> None:
    """List devices by name."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [_members(device) for device in server.run(devices.list_devices, limit, after)]
    call.put_list("devices", rows, ["name", "id", "domain", "enrolled", "last_contact", "revoked"])


@command(app, "show", "device show laptop-17")
def show(ctx: typer.Context, name: Name) -> None:
    """Show a device and its offline data."""
    call = call_of(ctx)
    with open_server(call) as server:
        view = server.run(devices.show_device, name)
        units = server.run(devices.held_units, view.device_id)
    rows = [
        {
            "user": unit.login,
            "kind": unit.kind,
            "token": unit.serial,
            "version": unit.version or None,
            "day": output.rfc3339(unit.day * DAY_SECONDS)[:10] if unit.day else None,  # type: ignore[index] # there is a day
            "expires": output.rfc3339(unit.not_after),
            "confirmed": output.rfc3339(unit.acknowledged_at),
        }
        for unit in units
    ]
    if call.json:
        output.put_json("device", _members(view) | {"units": rows})
        return
    output.put_members(_members(view))
    print()
    output.put_table(rows, ["user", "kind", "token", "day", "version", "expires", "confirmed"])


@command(app, "used-codes", "device used-codes laptop-17")
def list_used_codes(ctx: typer.Context, name: Name) -> None:
    """List the codes that a device used up by reports of offline sign-ins in the last 30 days."""
    call = call_of(ctx)
    with open_server(call) as server:
        rows = [used_members(each) for each in server.run(used_codes.codes_used_up_by_device, name, now=now())]
    call.put_list("used-codes", rows, [*USED_COLUMNS])


@command(app, "revoke", "device revoke laptop-17")
def revoke(ctx: typer.Context, name: Name) -> None:
    """Revoke a device. The server refuses it, and the device erases its data at its next contact."""
    call = call_of(ctx)
    with open_server(call) as server:
        server.run(devices.revoke, name, now=now())
    call.done(f"Revoked {name}.", "device", name=name, revoked=True)


@command(app, "stolen", "device stolen laptop-17 --yes")
def stolen(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    reported_by: Annotated[str, typer.Option(metavar="WHO", help="The reporter, and how you identified them.")] = "",
    note: Annotated[str, typer.Option(help="A note for the audit log.")] = "",
    ticket: Annotated[str, typer.Option(help="A ticket number for the audit log.")] = "",
) -> None:
    """Report a device as stolen. The server refuses it and invalidates everything that its data could reveal.

    Each user of the device chooses a new PIN at the next sign-in and gets new emergency codes. Tokens without a PIN and
    event-based tokens that were used on it are disabled; replace them. The device erases its data at its next contact.
    """
    call, moment = call_of(ctx), now()
    with open_server(call) as server:
        if not yes:
            _confirm(server.run(devices_stolen.look_at_stolen, name, now=moment))
        report = server.run(
            devices_stolen.report_stolen, name, reported_by=reported_by, note=note, ticket=ticket, now=moment
        )
    rows = [
        {"user": user.login, "new_pin": list(user.new_pin), "disabled": list(user.disabled), "codes": user.codes}
        for user in report.users
    ]
    if call.json:
        before = report.before and vars(report.before) | {"at": output.rfc3339(report.before.at)}
        output.put_json(
            "stolen",
            {
                "name": report.name,
                "id": report.device_id,
                "users": rows,
                "elsewhere": report.elsewhere,
                "before": before,
            },
        )
        return
    if report.before is not None:
        output.say(_earlier(report, report.before))
        return
    output.say(f"Reported {report.name} as stolen. The server refuses it from now on.")
    for line in _consequences(report):
        output.say(line)


def _confirm(report: devices_stolen.StolenDevice) -> None:
    if not sys.stdin.isatty():
        count = len(report.users) + report.elsewhere
        raise BadInput(
            f"reporting {report.name!r} as stolen affects {counted(count, 'user')} and needs a confirmation",
            "repeat the command with --yes, or run it at a terminal",
        )
    if report.before is not None:
        output.say(_earlier(report, report.before))
    else:
        output.say(f"The server will refuse {report.name} ({report.device_id}). Consequences:")
        for line in _consequences(report) or ["  The device has no data of any user."]:
            output.say(line)
    typer.confirm("Report this device as stolen?", abort=True, err=True)


def _earlier(report: devices_stolen.StolenDevice, before: devices_stolen.EarlierReport) -> str:
    """Describe an earlier report of the same device."""
    reported = f"{report.name} was already reported as stolen, at {output.local_and_utc(before.at)} by {before.by}"
    more = [counted(before.elsewhere, "user") + " elsewhere"] if before.elsewhere else []
    held = ", ".join([*before.users, *more])
    ended = f"Its data of {held} were invalidated then" if held else "It had no data of any user"
    return f"{reported}. {ended}. It has no other data, and the server refuses it."


def _consequences(report: devices_stolen.StolenDevice) -> list[str]:
    """Return one line for each user, and one for users in other domains."""
    lines = []
    for user in report.users:
        parts = [f"new PIN for token {serial}" for serial in user.new_pin]
        parts += [f"token {serial} disabled: replace it" for serial in user.disabled]
        parts += ["new emergency codes"] if user.codes else []
        parts += [f"{counted(user.passkeys, 'passkey')} removed"] if user.passkeys else []
        lines.append(f"  {user.login}: {'; '.join(parts) or 'offline data replaced'}")
    if report.elsewhere:
        lines.append(f"  {counted(report.elsewhere, 'more user')} in other security domains: the same")
    return lines


def _address(call: Call) -> tuple[str, str]:
    """Return the server's address for devices ("" if unknown) and a remark about it."""
    if call.url:
        return call.url, ""
    from sparekey.server.settings import FILE, read_settings  # noqa: PLC0415 -- not needed by every command

    settings, file = read_settings(call.directory, os.environ), call.directory / FILE
    if not settings.url:
        return "", f"Replace NAME:PORT with the address of this server. Set `names` in {file} to print it here."
    if settings.local_only:
        return settings.url, (
            f"This address works only on this machine. For other machines, set `listen` and `names` in {file} and "
            "restart the server."
        )
    return settings.url, ""


def _members(view: devices.DeviceView) -> dict[str, object]:
    return {
        "name": view.name,
        "id": view.device_id,
        "domain": view.domain,
        "enrolled": output.rfc3339(view.enrolled_at),
        "last_contact": output.rfc3339(view.last_contact),
        "revoked": output.rfc3339(view.revoked_at),
        "supports_offline": view.supports_offline,
        "hardware_bound": view.hardware_bound,
        "protection": view.protection,
        "exempt": list(view.exempt),
    }
