"""The pages of devices, API clients, security domains and roles, in this process: content, refusals and changes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import pytest
from sqlalchemy import event

from sparekey.app.devices import devices
from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.offline.sync import save_contact
from sparekey.app.people import domains, roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.policies import policies
from sparekey.app.sessions import clients
from sparekey.core.audit_log.actions import Action
from sparekey.core.offline.self_report import SelfReport
from sparekey.core.offline.units import Protection
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.secret import Secret
from sparekey.server.application import create_application
from sparekey.server.console.site import CONSOLE
from sparekey.storage.devices.devices import find_device
from tests.builders import NOW, PIN, ROOT, a_device, a_user, granted, logged_events, set_mail
from tests.server.asgi import Reply
from tests.server.interfaces import run
from tests.server.operation_world import INSIDE, OUTSIDE, World, an_administrator, session_of
from tests.server.page_world import header, visit

DEVICES, CLIENTS, DOMAINS, ROLES = (f"/console/{noun}" for noun in ("devices", "clients", "domains", "roles"))
PAGES = {page.method: page for page in CONSOLE.pages}
MOST_STATEMENTS = 10


def page(world: World, path: str, token: Secret[str], form: Mapping[str, str] | None = None) -> Reply:
    """Return the server's answer to a browser."""
    return run(visit(world, PAGES["GET" if form is None else "POST"], token, form, path=path))


def words(reply: Reply) -> str:
    """Return the text of the page as a person reads it."""
    text = re.sub(r"<(nav|header).*?</\1>", "", reply.body.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def sent_on(reply: Reply) -> str:
    assert reply.status == 303, words(reply)
    return unquote(header(reply, "location"))


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """Collect the database statements of the block."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement != "BEGIN":
            seen.append(statement)

    event.listen(world.instance.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.instance.database.engine, "before_cursor_execute", note)


@pytest.fixture
def admin(world: World) -> Secret[str]:
    return an_administrator(world.instance, SUPER_ADMINISTRATOR, TOP_DOMAIN)


@pytest.fixture
def sales(world: World) -> Secret[str]:
    """Return the session of an administrator of Sales only."""
    return an_administrator(world.instance, "domain administrator", INSIDE)


def test_no_page_asks_the_database_much(world: World, admin: Secret[str], sales: Secret[str]) -> None:
    roles.grant(world.instance, ROOT, "auditor", HolderKind.CLIENT, "crm", INSIDE, now=NOW)
    device = f"{DEVICES}/{world.device_id}"
    addresses = (
        DEVICES,
        f"{DEVICES}?text=l&domain={INSIDE}&state=active",
        device,
        f"{device}/stolen",
        f"{device}/revoke",
        f"{DEVICES}:invite",
        f"{DEVICES}:invitations",
        CLIENTS,
        f"{CLIENTS}/crm",
        f"{CLIENTS}:add",
        DOMAINS,
        f"{DOMAINS}/{INSIDE}",
        f"{DOMAINS}/{INSIDE}/move",
        f"{DOMAINS}/{INSIDE}/policies",
        f"{DOMAINS}:add",
        ROLES,
        f"{ROLES}/auditor",
        f"{ROLES}:holders",
        f"{ROLES}:grant",
        f"{ROLES}:add",
    )
    for token in (admin, sales):
        for address in addresses:
            with statements(world) as seen:
                reply = page(world, address, token)
            if reply.status != 403:
                assert reply.status == 200, (address, words(reply))
                assert len(seen) <= MOST_STATEMENTS, (address, len(seen), seen)


def test_devices_go_on_page_by_page_with_their_filters(world: World, admin: Secret[str]) -> None:
    for number in range(60):
        a_device(world.instance, f"desk-{number:02}", domain=OUTSIDE)
    first = page(world, f"{DEVICES}?text=desk&domain={OUTSIDE}", admin)
    assert "First 50 devices" in words(first)
    (way_on,) = re.findall(r'rel="next" href="([^"]+)"', first.body.decode())
    second = words(page(world, DEVICES + unescape(way_on), admin))
    assert "desk-50" in second
    assert "desk-49" not in second
    assert "No matching devices" in words(page(world, f"{DEVICES}?text=desk&domain={INSIDE}", admin))


def test_devices_of_one_name_have_pages_of_their_own(world: World, admin: Secret[str]) -> None:
    made = [a_device(world.instance, "twin").device_id for _ in range(2)]
    assert [page(world, f"{DEVICES}/{each}", admin).status for each in made] == [200, 200]
    shown = words(page(world, f"{DEVICES}/twin", admin))
    assert "2 devices are named 'twin'" in shown


def test_a_device_page_lists_its_users_and_recent_activity(world: World, admin: Secret[str]) -> None:
    shown = words(page(world, f"{DEVICES}/{world.device_id}", admin))
    assert f"token {world.alice.serial}" in shown
    assert f"Tokencode of {world.alice.serial}, version 1" in shown
    assert "Passcode, version 1" in shown
    assert "Device enrolled" in shown


def test_codes_on_a_device_link_to_their_pages_if_permitted(world: World, admin: Secret[str]) -> None:
    addresses = [f"/console/tokens/{world.alice.serial}/emergency", f"/console/users/{world.alice.login}/emergency"]
    path = f"{DEVICES}/{world.device_id}"
    shown = page(world, path, admin)
    assert [address for address in addresses if f'href="{address}"' in shown.body.decode()] == addresses
    assert [page(world, address, admin).status for address in addresses] == [200, 200]
    roles.add_role(world.instance, ROOT, "device viewer", ["device.view", "user.view"], now=NOW)
    viewer = page(world, path, an_administrator(world.instance, "device viewer", INSIDE))
    assert f"Tokencode of {world.alice.serial}, version 1" in words(viewer)
    assert [address for address in addresses if f'href="{address}"' in viewer.body.decode()] == []


def test_an_invitation_shows_its_code_once_and_the_next_command(world: World, admin: Secret[str]) -> None:
    reply = page(world, f"{DEVICES}:invite", admin, {"name": "office-9", "domain": INSIDE, "hours": "2"})
    shown = words(reply)
    assert re.search(r"([0-9A-Z]{5}-){7}[0-9A-Z]{5}", shown)
    assert "sparekey-agent enroll --server https://localhost:8443 --code -" in shown
    assert "works only on the server itself" in shown
    assert "in 2 hours" in shown
    assert header(reply, "content-encoding") == ""
    assert "office-9" not in words(page(world, DEVICES, admin))  # it has not enrolled yet
    waiting = page(world, f"{DEVICES}:invitations", admin)
    assert f"office-9 {INSIDE}" in words(waiting)
    (invitation,) = re.findall(r'withdraw\?invitation=(\w+)"', waiting.body.decode())
    assert "Withdraw the invitation of office-9" in words(
        page(world, f"{DEVICES}:withdraw?invitation={invitation}", admin)
    )
    assert sent_on(page(world, f"{DEVICES}:withdraw", admin, {"invitation": invitation})) == f"{DEVICES}:invitations"
    assert "No open invitations" in words(page(world, f"{DEVICES}:invitations", admin))
    again = page(world, f"{DEVICES}:withdraw", admin, {"invitation": invitation})
    assert (again.status, "This invitation does not exist" in words(again)) == (404, True)


def test_a_failed_invitation_keeps_the_typed_text(world: World, admin: Secret[str]) -> None:
    reply = page(world, f"{DEVICES}:invite", admin, {"name": "office-9", "domain": INSIDE, "hours": "9000"})
    assert reply.status == 400
    assert "must be a number from 1 to 720" in words(reply)
    assert 'value="office-9"' in reply.body.decode()


def test_a_device_s_report_is_on_its_page_and_in_the_list(world: World, admin: Secret[str]) -> None:
    here = f"{DEVICES}/{world.device_id}"
    assert "Accounts without a passcode not reported" in words(page(world, here, admin))
    said = SelfReport(hardware_bound=True, protection=Protection.TPM_PIN_LOCK, exempt=("backup", "root"))
    with world.instance.database.write() as connection:
        row = find_device(connection, world.device_id)
        assert row is not None
        save_contact(connection, row, said, now=NOW)
    shown = words(page(world, here, admin))
    assert "open only with the PIN, and the TPM limits wrong PINs reported by the device" in shown
    assert "Accounts without a passcode backup, root reported by the device" in shown
    assert "Accounts exempt from passcodes changed on the device" in shown
    assert "TPM, PIN lock 2 exempt accounts" in words(page(world, DEVICES, admin))


def test_a_device_is_revoked_after_a_confirmation(world: World, admin: Secret[str]) -> None:
    here = f"{DEVICES}/{world.device_id}"
    asked = words(page(world, f"{here}/revoke", admin))
    assert "report it stolen instead" in asked
    assert sent_on(page(world, f"{here}/revoke", admin, {})) == here
    assert devices.show_device(world.instance, ROOT, world.device_id).revoked_at == NOW
    assert "revoked" in words(page(world, here, admin))


def test_a_theft_is_previewed_reported_and_shown_again(world: World, admin: Secret[str]) -> None:
    here = f"{DEVICES}/{world.device_id}/stolen"
    before = words(page(world, here, admin))
    assert "You cannot undo this" in before
    assert f"alice at the next sign-in token {world.alice.serial}" in before
    assert devices.show_device(world.instance, ROOT, world.device_id).revoked_at is None
    done = words(page(world, here, admin, {"reported-by": "alice, called back", "ticket": "T-7", "note": "on a train"}))
    told = "The theft was reported by alice, called back. The ticket is T-7. The operator noted: on a train."
    assert told in words(page(world, f"{DEVICES}/{world.device_id}", admin))
    assert "ended; new codes follow" in done
    assert devices.show_device(world.instance, ROOT, world.device_id).revoked_at == NOW
    assert "Affected users: alice." in words(page(world, here, admin))


def test_s63_a_theft_names_no_users_of_other_domains(world: World, admin: Secret[str], sales: Secret[str]) -> None:
    stolen = a_device(world.instance, "shared", domain=INSIDE)
    carol, bob = (
        a_user(world.instance, login, pin=PIN, domain=domain) for login, domain in (("carol", INSIDE), ("bob", OUTSIDE))
    )
    for user in (carol, bob):
        granted(stolen.sign_in(user, NOW).outcome)
    here = f"{DEVICES}/{stolen.device_id}/stolen"
    told = [page(world, here, sales), page(world, here, sales, {}), page(world, here, sales)]
    for reply in told:
        assert "carol" in words(reply)
        assert "bob" not in words(reply)
        assert bob.serial not in words(reply)
    for reply in told[:2]:
        assert "And 1 user in other security domains." in words(reply)
    assert "Affected users: carol and 1 user whom you cannot see." in words(told[2])
    assert "Affected users: bob, carol." in words(page(world, here, admin))


def test_forbidden_actions_are_not_offered(world: World) -> None:
    desk = an_administrator(world.instance, "help desk", INSIDE)
    here = f"{DEVICES}/{world.device_id}"
    for address in (DEVICES, here):
        shown = words(page(world, address, desk))
        assert not re.search(r"\b(Invite a|Revoke|Report stolen)\b", shown)
    assert "Assign policies" not in words(page(world, f"{DOMAINS}/{INSIDE}", desk))
    assert page(world, ROLES, desk).status == 403


def test_a_key_is_shown_once_and_works(world: World, admin: Secret[str]) -> None:
    form = {"name": "vpn", "domain": INSIDE, "addresses": "192.0.2.7  2001:db8::/32", "expires": "2027-01-31"}
    reply = page(world, f"{CLIENTS}:add", admin, form)
    (key,) = re.findall(r"spk_[\w-]{43}", reply.body.decode())
    assert clients.find_client_interface(world.instance, Secret(key), "192.0.2.7", NOW) is not None
    assert clients.find_client_interface(world.instance, Secret(key), "192.0.2.8", NOW) is None
    shown = page(world, f"{CLIENTS}/vpn", admin)
    assert key not in shown.body.decode()
    assert "192.0.2.7/32, 2001:db8::/32" in words(shown)
    assert "31 Jan 2027, 23:59" in words(shown)
    assert key not in repr(logged_events(world.instance, Action.CLIENT_ADDED))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": ""}, "'Name' is empty"),
        ({"name": "crm"}, "an API client 'crm' already exists"),
        ({"addresses": "my house"}, "is not an address or network"),
        ({"expires": "soon"}, "'Last day' is not a date"),
        ({"domain": "Nowhere"}, "there is no security domain 'Nowhere'"),
    ],
)
def test_a_client_that_cannot_be_added(world: World, admin: Secret[str], changed: dict[str, str], said: str) -> None:
    reply = page(world, f"{CLIENTS}:add", admin, {"name": "vpn", "domain": INSIDE} | changed)
    assert said.lower() in words(reply).lower()
    assert "spk_" not in reply.body.decode()


@pytest.mark.parametrize("viewed", ["", OUTSIDE])
def test_a_user_who_may_add_but_not_read_clients_sees_the_key(world: World, viewed: str) -> None:
    roles.add_role(world.instance, ROOT, "adder", ["client.manage"], now=NOW)
    user = a_user(world.instance)
    roles.grant(world.instance, ROOT, "adder", HolderKind.USER, user.login, INSIDE, now=NOW)
    if viewed:
        roles.grant(world.instance, ROOT, "auditor", HolderKind.USER, user.login, viewed, now=NOW)
    token = session_of(world.instance, user)
    reply = page(world, f"{CLIENTS}:add", token, {"name": "vpn", "domain": INSIDE})
    assert reply.status == 200, words(reply)
    (key,) = re.findall(r"spk_[\w-]{43}", reply.body.decode())
    assert clients.find_client_interface(world.instance, Secret(key), "192.0.2.7", NOW) is not None
    assert "Open the API client" not in words(reply)
    assert page(world, f"{CLIENTS}/vpn", token).status in (403, 404)


def test_a_client_shows_its_roles_and_is_revoked(world: World, admin: Secret[str]) -> None:
    roles.grant(world.instance, ROOT, "auditor", HolderKind.CLIENT, "crm", INSIDE, now=NOW)
    assert f"auditor {INSIDE} and below" in words(page(world, f"{CLIENTS}/crm", admin))
    assert "stops working" in words(page(world, f"{CLIENTS}/crm/revoke", admin))
    assert sent_on(page(world, f"{CLIENTS}/crm/revoke", admin, {})) == f"{CLIENTS}/crm"
    assert "revoked" in words(page(world, f"{CLIENTS}/crm", admin))


def test_the_tree_shows_only_domains_in_scope(world: World, admin: Secret[str], sales: Secret[str]) -> None:
    domains.add_domain(world.instance, ROOT, "Bern", INSIDE, now=NOW)
    whole, part = (page(world, DOMAINS, token).body.decode() for token in (admin, sales))
    assert whole.index(f">{TOP_DOMAIN}<") < whole.index(f">{INSIDE}<") < whole.index(">Bern<")
    assert 'class="named depth-2"' in whole
    assert OUTSIDE not in part
    assert 'class="named depth-0"' in part
    assert page(world, f"{DOMAINS}/{OUTSIDE}", sales).status == 404


def test_a_domain_called_add_has_a_page(world: World, admin: Secret[str]) -> None:
    for name in ("add", "new", "a/b ?&", ":add"):
        made = sent_on(page(world, f"{DOMAINS}:add", admin, {"name": name, "parent": INSIDE}))
        assert made == f"{DOMAINS}/{name}"
        assert any(each.name == name for each in domains.list_domains(world.instance, ROOT))
    assert page(world, f"{DOMAINS}/new", admin).status == 200
    assert page(world, f"{DOMAINS}/a%2Fb%20%3F%26", admin).status == 200


def test_a_domain_is_moved_and_removed(world: World, admin: Secret[str]) -> None:
    domains.add_domain(world.instance, ROOT, "Bern", INSIDE, now=NOW)
    assert sent_on(page(world, f"{DOMAINS}/Bern/move", admin, {"parent": OUTSIDE})) == f"{DOMAINS}/Bern"
    assert domains.show_domain(world.instance, ROOT, "Bern").view.parent == OUTSIDE
    circle = page(world, f"{DOMAINS}/{OUTSIDE}/move", admin, {"parent": "Bern"})
    assert (circle.status, "is 'Support' itself or below it" in words(circle)) == (409, True)
    full = page(world, f"{DOMAINS}/{INSIDE}/remove", admin, {})
    assert full.status == 409
    assert "'Sales' is not empty: 1 user" in words(full)
    assert sent_on(page(world, f"{DOMAINS}/Bern/remove", admin, {})) == DOMAINS


def test_another_policy_that_discards_data_is_asked_about_first(world: World, admin: Secret[str]) -> None:
    policies.add_policy(world.instance, ROOT, PolicyKind.OFFLINE, "Strict", {"minimum_passcode_length": "16"}, now=NOW)
    here = f"{DOMAINS}/{INSIDE}/policies"
    form = {"kind": "offline", "policy": "Strict"}
    asked = page(world, here, admin, form)
    assert asked.status == 200
    assert "minimum passcode length" in words(asked)
    assert "1 user on 1 device" in words(asked)
    assert domains.show_domain(world.instance, ROOT, INSIDE).policies[PolicyKind.OFFLINE] != "Strict"
    assert sent_on(page(world, here, admin, form | {"confirmed": "on"})) == f"{DOMAINS}/{INSIDE}"
    assert domains.show_domain(world.instance, ROOT, INSIDE).policies[PolicyKind.OFFLINE] == "Strict"


def test_the_page_says_that_policies_are_not_inherited(world: World, admin: Secret[str]) -> None:
    domains.add_domain(world.instance, ROOT, "Above", now=NOW)
    assert "Policies are not inherited by domains below it." in words(page(world, f"{DOMAINS}/Above/policies", admin))
    domains.add_domain(world.instance, ROOT, "Below", "Above", now=NOW)
    assert "Domains below it keep their own policies." in words(page(world, f"{DOMAINS}/Above/policies", admin))


@pytest.mark.parametrize("kind", list(PolicyKind))
def test_a_domain_goes_back_to_the_default(world: World, admin: Secret[str], kind: PolicyKind) -> None:
    policies.add_policy(world.instance, ROOT, kind, "Other", {}, now=NOW)
    policies.assign_policy(world.instance, ROOT, kind, "Other", OUTSIDE, now=NOW)
    here = f"{DOMAINS}/{OUTSIDE}/policies"
    assert "Always use the default (Default)" in words(page(world, here, admin))
    assert sent_on(page(world, here, admin, {"kind": kind.value, "policy": ""})) == f"{DOMAINS}/{OUTSIDE}"
    found = domains.show_domain(world.instance, ROOT, OUTSIDE)
    assert (found.view.assigned[kind], found.policies[kind]) == (None, "Default")


def test_notices_are_promised_only_where_there_is_a_mail_server(world: World, admin: Secret[str]) -> None:
    for address in ("/console/new-user", "/console/users/alice/edit"):
        assert "Notices are not sent now: no mail server is set up." in words(page(world, address, admin))
    set_mail(world.instance, world.alice, "alice@example.org")
    assert "notices are not sent: no mail server is set up" in words(page(world, "/console/users/alice", admin))
    sends = replace(world.interfaces.service.settings, smtp_host="mail.example.org", mail_from="sparekey@example.org")
    world.interfaces.app = create_application(replace(world.interfaces.service, settings=sends))
    for address in ("/console/new-user", "/console/users/alice/edit", "/console/users/alice"):
        assert "no mail server" not in words(page(world, address, admin))


def test_a_permission_that_is_missing_is_named_as_in_the_form_of_roles(world: World) -> None:
    desk = an_administrator(world.instance, "help desk", INSIDE)
    said = words(page(world, ROLES, desk))
    assert 'permission "see roles, and who holds them" (role.view)' in said.lower()


def test_a_role_starts_from_a_copy_of_another(world: World, admin: Secret[str]) -> None:
    shown = page(world, f"{ROLES}:add?like=auditor", admin).body.decode()
    ticked = re.findall(r'name="permission" value="([^"]+)" checked', shown)
    assert sorted(ticked) == sorted(roles.show_role(world.instance, ROOT, "auditor").role.permissions)
    assert " checked" not in page(world, f"{ROLES}:add", admin).body.decode()
    assert page(world, f"{ROLES}:add?like=nobody", admin).status == 200
    assert f"{len(ticked)} of {len(Permission)}: Users" in words(page(world, ROLES, admin))
    assert b"roles:add?like=auditor" in page(world, f"{ROLES}/auditor", admin).body


def test_a_role_of_ones_own_is_added_changed_and_removed(world: World, admin: Secret[str]) -> None:
    assert "a role needs a permission" in words(page(world, f"{ROLES}:add", admin, {"name": "night desk"})).lower()
    made = sent_on(page(world, f"{ROLES}:add", admin, {"name": "night desk", "permission": "user.view"}))
    assert made == f"{ROLES}/night desk"
    assert "see users, and check whether they can sign in" in words(page(world, f"{ROLES}/night%20desk", admin))
    page(world, f"{ROLES}/night%20desk/edit", admin, {"permission": "token.view"})
    assert roles.show_role(world.instance, ROOT, "night desk").role.permissions == ("token.view",)
    roles.grant(world.instance, ROOT, "night desk", HolderKind.USER, "alice", INSIDE, now=NOW)
    held = page(world, f"{ROLES}/night%20desk/remove", admin, {})
    assert (held.status, "is granted 1 time" in words(held)) == (409, True)
    fields = {"kind": "user", "holder": "alice", "domain": INSIDE}
    assert sent_on(page(world, f"{ROLES}/night%20desk/revoke", admin, fields)) == f"{ROLES}/night desk"
    assert sent_on(page(world, f"{ROLES}/night%20desk/remove", admin, {})) == ROLES


def test_a_role_is_granted_to_users_and_clients(world: World, admin: Secret[str]) -> None:
    for kind, holder in (("user", "alice"), ("client", "crm")):
        form = {"role": "auditor", "kind": kind, "holder": holder, "domain": INSIDE}
        assert sent_on(page(world, f"{ROLES}:grant", admin, form)) == f"{ROLES}/auditor"
        again = page(world, f"{ROLES}:grant", admin, form)
        assert (again.status, "already" in words(again)) == (409, True)
        assert f'value="{holder}"' in again.body.decode()
    shown = words(page(world, f"{ROLES}:holders?text=alice", admin))
    assert f"alice auditor {INSIDE} and below" in shown
    assert "crm" not in shown
    assert "crm API client" in words(page(world, f"{ROLES}:holders?kind=client", admin))


def test_the_form_of_a_grant_is_filled_from_its_link(world: World, admin: Secret[str]) -> None:
    shown = page(world, f"{ROLES}:grant?kind=client&holder=crm&role=help%20desk", admin).body.decode()
    assert 'value="crm"' in shown
    assert '<option value="client" selected>' in shown
    assert '<option value="help desk" selected>' in shown


def test_administrators_cannot_give_rights_that_they_lack(world: World, sales: Secret[str]) -> None:
    form = {"role": SUPER_ADMINISTRATOR, "kind": "user", "holder": "alice", "domain": INSIDE}
    reply = page(world, f"{ROLES}:grant", sales, form)
    assert reply.status == 403
    assert "you can grant only permissions that you have yourself" in words(reply).lower()
    # roles are the same everywhere: who administers a part of the tree makes none
    assert page(world, f"{ROLES}:add", sales, {"name": "own", "permission": "user.view"}).status == 403
    assert "own" not in [role.name for role in roles.list_roles(world.instance, ROOT)]


def test_the_last_super_administrator_stays(world: World) -> None:
    last = a_user(world.instance, pin=PIN)
    roles.grant(world.instance, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, last.login, TOP_DOMAIN, now=NOW)
    here = f"{ROLES}/super%20administrator/revoke"
    fields = {"kind": "user", "holder": last.login, "domain": TOP_DOMAIN}
    reply = page(world, here, session_of(world.instance, last), fields)
    assert reply.status == 403
    assert "no super administrator who can sign in would be left" in words(reply).lower()
    assert [each.holder for each in roles.show_role(world.instance, ROOT, SUPER_ADMINISTRATOR).grants] == [last.login]


def test_a_permission_that_one_has_not_is_not_to_be_ticked(world: World) -> None:
    names = [permission.value for permission in Permission if permission is not Permission.POLICY_MANAGE]
    roles.add_role(world.instance, ROOT, "nearly all", names, now=NOW)
    token = an_administrator(world.instance, "nearly all", TOP_DOMAIN)
    shown = page(world, f"{ROLES}:add", token).body.decode()
    assert re.search(r'value="policy.manage"[^>]* disabled', shown)
    assert not re.search(r'value="user.view"[^>]* disabled', shown)


def test_an_action_on_a_removed_object_is_reported(world: World, admin: Secret[str]) -> None:
    fields = {"kind": "user", "holder": a_user(world.instance).login, "domain": INSIDE}
    reply = page(world, f"{ROLES}/auditor/revoke", admin, fields)
    assert (reply.status, "does not have the role" in words(reply)) == (404, True)
    assert page(world, f"{ROLES}/none/edit", admin).status == 404
    assert page(world, f"{CLIENTS}/none", admin).status == 404
    assert page(world, f"{DEVICES}/none", admin).status == 404


def test_a_revoked_device_page_lists_what_may_still_open_it(world: World, admin: Secret[str]) -> None:
    here = f"{DEVICES}/{world.device_id}"
    devices.revoke(world.instance, ROOT, world.device_id, now=NOW)
    revoked = words(page(world, here, admin))
    assert "Report stolen as well" in revoked
    assert "It has not been in contact since, and has erased nothing." in revoked
    assert re.search(r"With an emergency code until alice \d+ \w+ \d{4}", revoked)
    assert "No users with offline data" not in revoked
    page(world, f"{here}/stolen", admin, {})
    stolen = words(page(world, here, admin))
    assert re.search(r"reported stolen on [^,]+, \d\d:\d\d , by user", stolen)
    assert "Report stolen" not in stolen
    assert "has erased nothing" in stolen
    # the explanation of this user says so
    assert "Device reported stolen" in words(page(world, "/console/users/alice", admin))
    row = devices.find_device(world.instance, world.device_id)
    assert row is not None
    devices.tell_revoked(world.instance, row, now=NOW + 60)
    told = words(page(world, here, admin))
    assert "It erases itself on receipt" in told
    assert "has erased nothing" not in told
