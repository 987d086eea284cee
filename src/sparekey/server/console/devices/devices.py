"""Access > Devices: the list, the contents of a device, invitations, revocation and theft."""

from typing import Final
from urllib.parse import quote

from sparekey.app.devices import contents as device_contents
from sparekey.app.devices import devices, invitations
from sparekey.app.devices import stolen as devices_stolen
from sparekey.app.devices.devices import DeviceSearch, DeviceView
from sparekey.core.errors import BadInput
from sparekey.core.offline.self_report import PROTECTIONS, SHORT
from sparekey.core.offline.units import Protection
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.server.console.emergency.words import circumstances
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.console.forms.confirming import ask_first
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

LIST: Final = "/console/devices"
pages = Pages(LIST)
_PAGE: Final = 50
_HOUR: Final = 3_600
_REVOKED: Final = (
    "Until that contact, its offline data can still be used to sign in on it. If the device was stolen, report it "
    "stolen instead, so that PINs and codes end, too.",
    "A revoked device can be used again only after a new invitation.",
)
STATES: Final = (("", "any"), ("active", "in use"), ("silent", "no contact for a week"), ("revoked", "revoked"))


@pages.get("", Permission.DEVICE_VIEW)
def manage(visit: Visit) -> Reply:
    """Return the list (Manage Existing)."""
    query = visit.query
    wanted = DeviceSearch(query.text("text"), query.text("domain"), query.get("state", ""), query.get("order", ""))
    rows = devices.search_devices(visit.instance, visit.actor, wanted, _PAGE + 1, query.get("after", ""), now=visit.now)
    shown = rows[:_PAGE]
    users = device_contents.count_users(visit.instance, visit.actor, [device.device_id for device in shown])
    return visit.show(
        "devices/manage.html",
        rows=shown,
        next=shown[-1].device_id if len(rows) > _PAGE else None,
        users=users,
        domains=domain_options(visit, Permission.DEVICE_VIEW),
        states=STATES,
        silent_after=devices.SILENT_AFTER,
        keys_in=keys_in,
    )


@pages.post(":revoke", Permission.DEVICE_REVOKE, again=manage)
def revoke_at_once(visit: Visit) -> Reply:
    """Revoke all selected devices, after a confirmation. Raises BadInput if no device is selected."""
    chosen = sorted({*visit.form.all("device"), *visit.form.get("devices", "").split()})
    if not chosen:
        raise BadInput("no device is selected", "select at least one")
    back = f"{LIST}?{visit.query.but()}" if visit.query.but() else LIST
    if not visit.form.flag("sure"):
        found = devices.choose_devices(visit.instance, visit.actor, chosen)
        title = f"Revoke {counted(len(found), 'device')}"
        these = f"These {counted(len(found), 'device')}" if len(found) > 1 else "This device"
        return ask_first(
            visit,
            title,
            "Revoke",
            visit.url,
            f"{these}: {', '.join(device.name for device in found)}.",
            "The server rejects revoked devices. Each device erases all offline data and codes at its next contact.",
            *_REVOKED,
            crumbs=((back, "Devices"),),
            fields={"devices": " ".join(chosen), "sure": "yes"},
        )
    revoked = devices.revoke_at_once(visit.instance, visit.actor, chosen, now=visit.now)
    rest = len(chosen) - len(revoked)
    unchanged = f" Not changed: {counted(rest, 'device')}, already revoked." if rest else ""
    return Redirect(back, f"{counted(len(revoked), 'device')} revoked.{unchanged}")


@pages.get(":invite", Permission.DEVICE_INVITE)
def new(visit: Visit) -> Reply:
    return visit.show("devices/invite.html", domains=domain_options(visit, Permission.DEVICE_INVITE))


@pages.post(":invite", Permission.DEVICE_INVITE, again=new, fresh=True)
def invite(visit: Visit) -> Reply:
    """Invite a device, and show its enrolment code: only this reply contains it."""
    form = visit.form
    name, domain = form.text("name", "Name", needed=True), form.text("domain", "Security domain", needed=True)
    hours = form.number("hours", "Lifetime of the code in hours", 1, 720, 24)
    lifetime = hours * _HOUR
    code = invitations.invite(visit.instance, visit.actor, name, domain, now=visit.now, lifetime=lifetime)
    return visit.show(
        "devices/invited.html",
        secret=True,
        name=name,
        domain=domain,
        code=code.text(),
        ends_at=visit.now + lifetime,
        url=visit.settings.url,
        local_only=visit.settings.local_only,
    )


@pages.get(":invitations", Permission.DEVICE_VIEW)
def invited(visit: Visit) -> Reply:
    """Return the open invitations."""
    rows = invitations.list_invitations(
        visit.instance, visit.actor, _PAGE + 1, visit.query.get("after", ""), now=visit.now
    )
    shown = rows[:_PAGE]
    return visit.show("devices/invitations.html", rows=shown, next=shown[-1].id if len(rows) > _PAGE else None)


@pages.get(":withdraw", Permission.DEVICE_REVOKE)
def before_withdraw(visit: Visit) -> Reply:
    wanted = (visit.form or visit.query).text("invitation", "Invitation", needed=True)
    each = invitations.show_invitation(visit.instance, visit.actor, wanted, now=visit.now)
    return ask_first(
        visit,
        f"Withdraw the invitation of {each.name}",
        "Withdraw",
        f"{LIST}:withdraw",
        "Its enrolment code stops working. You can invite the device again.",
        crumbs=((LIST, "Devices"), (f"{LIST}:invitations", "Open invitations")),
        fields={"invitation": each.id},
    )


@pages.post(":withdraw", Permission.DEVICE_REVOKE, again=before_withdraw)
def withdraw(visit: Visit) -> Reply:
    """Withdraw an invitation. Needs no fresh second factor: the device can be invited again."""
    invitations.withdraw(
        visit.instance, visit.actor, visit.form.text("invitation", "Invitation", needed=True), now=visit.now
    )
    return Redirect(f"{LIST}:invitations", "The invitation was withdrawn. Its code no longer works.")


@pages.get("/{name}", Permission.DEVICE_VIEW)
def show(visit: Visit) -> Reply:
    found = device_contents.look_into(visit.instance, visit.actor, visit.path["name"], now=visit.now)
    return visit.show(
        "devices/show.html",
        found=found,
        device=found.device,
        gone=found.gone,
        here=address_of(found.device),
        circumstances=circumstances,
        protection=protection,
    )


@pages.get("/{name}/revoke", Permission.DEVICE_REVOKE)
def before_revoke(visit: Visit) -> Reply:
    device = _device(visit)
    return ask_first(
        visit,
        f"Revoke {device.name}",
        "Revoke",
        f"{address_of(device)}/revoke",
        f"The server rejects {device.name}. The device erases all offline data and codes at its next contact.",
        *_REVOKED,
        crumbs=((LIST, "Devices"), (address_of(device), device.name)),
    )


@pages.post("/{name}/revoke", Permission.DEVICE_REVOKE, again=before_revoke)
def revoke(visit: Visit) -> Reply:
    name = visit.path["name"]
    devices.revoke(visit.instance, visit.actor, name, now=visit.now)
    back = f"{LIST}/{quote(name, safe='')}" if visit.may(Permission.DEVICE_VIEW) else "/console"
    return Redirect(back, "The device was revoked. The server rejects it.")


@pages.get("/{name}/stolen", Permission.DEVICE_REVOKE)
def before_stolen(visit: Visit) -> Reply:
    """Show the effects of a report, without changing anything."""
    found = devices_stolen.look_at_stolen(visit.instance, visit.actor, visit.path["name"], now=visit.now)
    return visit.show("devices/stolen.html", found=found, reported=False, here=f"{LIST}/{found.device_id}")


@pages.post("/{name}/stolen", Permission.DEVICE_REVOKE, again=before_stolen)
def report_stolen(visit: Visit) -> Reply:
    """Report a device stolen and show the data that this invalidates."""
    form = visit.form
    found = devices_stolen.report_stolen(
        visit.instance,
        visit.actor,
        visit.path["name"],
        reported_by=form.text("reported-by", "Who reported it"),
        note=form.text("note", "Note"),
        ticket=form.text("ticket", "Ticket"),
        now=visit.now,
    )
    return visit.show("devices/stolen.html", found=found, reported=True, here=f"{LIST}/{found.device_id}")


def protection(device: DeviceView) -> str:
    """Return the protection of the device's offline data as a sentence."""
    return PROTECTIONS[device.protection or _told_at_enrolment(device)]


def keys_in(device: DeviceView) -> str:
    """Return the protection in a word or two, for a list."""
    return SHORT[device.protection or _told_at_enrolment(device)]


def _told_at_enrolment(device: DeviceView) -> str:
    """Return the protection that was known at enrolment: an older agent reports only whether there is a TPM."""
    return Protection.TPM if device.hardware_bound else ""


def _device(visit: Visit) -> DeviceView:
    return devices.show_device(visit.instance, visit.actor, visit.path["name"])


def address_of(device: DeviceView) -> str:
    """Return the address of a device's page: by its id, because names are not unique."""
    return f"{LIST}/{device.device_id}"
