"""Users edited, moved and imported; domains shown, moved and removed."""

import pytest

from sparekey.app.devices import devices, invitations
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import domains, users
from sparekey.app.people import imports as user_imports
from sparekey.app.people.imports import RefusedRow, import_users
from sparekey.app.people.users import NEVER, UserEdit
from sparekey.app.policies import policies
from sparekey.app.sessions import clients
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import tokens
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound
from sparekey.core.permissions import Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.storage.devices import devices as stored_devices
from tests.app.administrators import actor_again, add_tree, an_administrator
from tests.builders import (
    DAY,
    NOW,
    ROOT,
    a_device,
    a_filled_device,
    a_user,
    account_row,
    denied,
    logged_events,
    submit,
)


def generation(server: Instance, account_id: str) -> int:
    with server.database.read() as connection:
        (device_id,) = stored_devices.devices_of_account(connection, account_id)
        data = stored_devices.find_device_account(connection, device_id, account_id)
    assert data is not None
    return data.generation


def test_a_user_is_edited(any_server: Instance) -> None:
    user = a_user(any_server)
    edit = UserEdit(name="Alice Example", mail="alice@example.org", expires_at=NOW + DAY)
    view = users.edit_user(any_server, ROOT, user.login, edit, now=NOW)
    assert (view.name, view.mail, view.expires_at) == ("Alice Example", "alice@example.org", NOW + DAY)
    view = users.edit_user(any_server, ROOT, user.login, UserEdit(mail="", expires_at=NEVER), now=NOW)
    assert (view.name, view.mail, view.expires_at) == ("Alice Example", "", None)
    assert users.show_user(any_server, ROOT, user.login) == view
    assert [row.account_id for row in logged_events(any_server, Action.USER_CHANGED)] == [user.account_id] * 2
    assert "example.org" not in logged_events(any_server, Action.USER_CHANGED)[0].detail


def test_another_expiry_replaces_offline_data(server: Instance) -> None:
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    before = generation(server, user.account_id)
    users.edit_user(server, ROOT, user.login, UserEdit(name="Alice"), now=NOW)
    assert generation(server, user.account_id) == before
    users.edit_user(server, ROOT, user.login, UserEdit(expires_at=NOW + DAY), now=NOW)
    assert generation(server, user.account_id) == before + 1
    users.edit_user(server, ROOT, user.login, UserEdit(expires_at=NOW + DAY), now=NOW)
    assert generation(server, user.account_id) == before + 1


def test_an_edit_of_a_fixed_field_is_refused_with_a_reason(server: Instance) -> None:
    user = a_user(server)
    with pytest.raises(BadInput, match="no change was given"):
        users.edit_user(server, ROOT, user.login, UserEdit(), now=NOW)
    for edit in (UserEdit(name=""), UserEdit(name="a\nb"), UserEdit(mail="no address")):
        with pytest.raises(BadInput):
            users.edit_user(server, ROOT, user.login, edit, now=NOW)
    with pytest.raises(BadInput):
        users.add_user(server, ROOT, "bob", TOP_DOMAIN, mail="bob@", now=NOW)
    for past in (NOW, NOW - 1, 0):
        with pytest.raises(BadInput, match="is in the past") as refused:
            users.add_user(server, ROOT, "bob", TOP_DOMAIN, expires_at=past, now=NOW)
        assert "in the future" in refused.value.do
    assert [each.login for each in users.list_users(server, ROOT)] == [user.login]


def test_a_user_may_have_an_end_from_the_beginning(any_server: Instance) -> None:
    users.add_user(any_server, ROOT, "anna", TOP_DOMAIN, expires_at=NOW + DAY, now=NOW)
    assert users.show_user(any_server, ROOT, "anna").expires_at == NOW + DAY
    users.add_user(any_server, ROOT, "bob", TOP_DOMAIN, now=NOW)
    assert users.show_user(any_server, ROOT, "bob").expires_at is None


def test_a_user_who_was_not_locked_is_not_unlocked(any_server: Instance) -> None:
    user = a_user(any_server)
    assert users.unlock(any_server, ROOT, user.login, now=NOW) is False
    assert logged_events(any_server, Action.ACCOUNT_UNLOCKED) == []
    denied(submit(any_server, user, NOW, user.wrong(NOW)))
    assert account_row(any_server, user.login).failures == 1
    assert users.unlock(any_server, ROOT, user.login, now=NOW) is True  # failures in a row, too, though no lock yet
    assert account_row(any_server, user.login).failures == 0
    assert users.unlock(any_server, ROOT, user.login, now=NOW) is False
    (unlocked,) = logged_events(any_server, Action.ACCOUNT_UNLOCKED)
    assert unlocked.account_id == user.account_id


def test_a_user_who_is_moved_is_under_the_new_policies(server: Instance) -> None:
    add_tree(server)
    user = a_user(server, pin="4711abcd")
    a_filled_device(server, user)
    before = generation(server, user.account_id)
    users.move_user(server, ROOT, user.login, "Bern", now=NOW)
    assert generation(server, user.account_id) == before + 1
    users.move_user(server, ROOT, user.login, "Bern", now=NOW)  # nothing to do
    assert generation(server, user.account_id) == before + 1
    (moved,) = logged_events(server, Action.USER_MOVED)
    assert '"before":"SystemDomain"' in moved.detail


CSV = (
    "Login,Name,Domain,Mail,Expires\n"
    "anna,Anna Example,Sales,anna@example.org,2027-12-31\n"
    "\n"
    "bert,,,,\n"
    "no login!,,,,\n"
    "carl,Carl,Nowhere,,\n"
    "anna,Anna again,,,\n"
    "taken,,,,\n"
    "dora,,,,someday\n"
    "emil,,,not a mail,\n"
    'fritz,"Fritz, the second",Bern,,\n'
    "gina,Gina\n"
)


@pytest.mark.parametrize("dry_run", [True, False])
def test_users_are_imported(any_server: Instance, dry_run: bool) -> None:
    add_tree(any_server)
    taken = a_user(any_server, "taken")
    report = import_users(any_server, ROOT, b"\xef\xbb\xbf" + CSV.encode(), now=NOW, domain="Support", dry_run=dry_run)
    assert report.added == 3
    assert [(each.line, each.login) for each in report.refusals] == [
        (5, "no login!"),
        (6, "carl"),
        (7, "anna"),
        (8, "taken"),
        (9, "dora"),
        (10, "emil"),
        (12, "gina"),
    ]
    assert RefusedRow(6, "carl", "there is no security domain 'Nowhere'") in report.refusals
    found = {each.login: each for each in users.list_users(any_server, ROOT)}
    if dry_run:
        assert set(found) == {"taken"}
        return
    assert {login: each.domain for login, each in found.items()} == {
        "anna": "Sales",
        "bert": "Support",
        "fritz": "Bern",
        "taken": TOP_DOMAIN,
    }
    assert (found["anna"].mail, found["anna"].expires_at) == ("anna@example.org", 1_830_211_200)
    assert found["fritz"].name == "Fritz, the second"
    assert account_row(any_server, "taken").id == taken.account_id
    (whole,) = logged_events(any_server, Action.USERS_IMPORTED)
    assert whole.detail == '{"added":3,"refused":7}'
    assert len(logged_events(any_server, Action.USER_ADDED)) == 4


def test_a_user_of_a_file_signs_in_like_any_other(server: Instance) -> None:
    import_users(server, ROOT, b"login\nalice\n", now=NOW)
    added = tokens.add_token(server, ROOT, "alice", tokens.NewToken(), now=NOW)
    assert tokens.show_token(server, ROOT, added.serial).login == "alice"


@pytest.mark.parametrize(
    "data", [b"", b"name,domain\nx,y\n", b"login,login\na,b\n", b"login,phone\na,b\n", b"login\n\xff\n", b'login\n"a\n']
)
def test_a_file_that_is_no_table_of_users_is_refused(server: Instance, data: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        import_users(server, ROOT, data, now=NOW)
    assert refused.value.do
    assert users.list_users(server, ROOT) == []


def test_a_file_that_is_too_large_is_refused(server: Instance) -> None:
    with pytest.raises(BadInput, match="more than"):
        import_users(server, ROOT, bytes(user_imports.LARGEST_FILE + 1), now=NOW)


def test_many_users_are_imported(server: Instance) -> None:
    data = "login\n" + "".join(f"user-{number:05d}\n" for number in range(2_500))
    assert import_users(server, ROOT, data.encode(), now=NOW).added == 2_500
    assert len(users.list_users(server, ROOT, limit=10_000)) == 2_500


def test_domains_are_listed_as_a_tree(server: Instance) -> None:
    add_tree(server)
    assert [(each.name, each.depth) for each in domains.list_domains(server, ROOT)] == [
        (TOP_DOMAIN, 0),
        ("Sales", 1),
        ("Bern", 2),
        ("Support", 1),
    ]
    _, actor = an_administrator(server, ("help desk", "Bern"), ("help desk", "Support"))
    assert [(each.name, each.parent, each.depth) for each in domains.list_domains(server, actor)] == [
        ("Bern", None, 0),
        ("Support", None, 0),
    ]


def test_a_list_of_domains_names_the_policies_of_each_kind(any_server: Instance) -> None:
    add_tree(any_server)
    policies.add_policy(any_server, ROOT, PolicyKind.LOCKOUT, "Patient", {}, now=NOW)
    policies.assign_policy(any_server, ROOT, PolicyKind.LOCKOUT, "Patient", "Bern", now=NOW)
    found = {each.name: each.assigned for each in domains.list_domains(any_server, ROOT)}
    assert found["Bern"] == {PolicyKind.OFFLINE: None, PolicyKind.TOKEN: None, PolicyKind.LOCKOUT: "Patient"}
    assert found["Sales"] == dict.fromkeys(PolicyKind)


def test_a_list_of_tokens_names_their_domains(any_server: Instance) -> None:
    add_tree(any_server)
    user = a_user(any_server, domain="Bern")
    of_nobody = tokens.add_token(any_server, ROOT, user.login, tokens.NewToken(type="hotp"), now=NOW).serial
    token_lifecycle.unassign(any_server, ROOT, of_nobody, now=NOW)
    users.move_user(any_server, ROOT, user.login, "Support", now=NOW)
    found = {each.serial: (each.type, each.login, each.domain) for each in tokens.list_tokens(any_server, ROOT)}
    shown = tokens.show_token(any_server, ROOT, of_nobody)
    assert found == {user.serial: ("totp", user.login, "Support"), of_nobody: ("hotp", None, shown.domain)}


def test_a_domain_is_shown(server: Instance) -> None:
    add_tree(server)
    a_user(server, domain="Sales")
    a_device(server, domain="Sales")
    shown = domains.show_domain(server, ROOT, "Sales")
    assert shown.contents == {"users": 1, "tokens": 0, "devices": 1, "API clients": 0, "roles granted": 0, "domains": 1}
    assert shown.policies == dict.fromkeys(PolicyKind, "Default")
    assert (shown.view.parent, shown.view.depth) == (TOP_DOMAIN, 1)


def test_a_domain_is_moved_with_what_is_below_it(any_server: Instance) -> None:
    add_tree(any_server)
    user = a_user(any_server, domain="Bern", pin="4711abcd")
    a_filled_device(any_server, user)
    before = generation(any_server, user.account_id)
    _, desk = an_administrator(any_server, ("help desk", "Support"))
    administrator, _ = an_administrator(any_server, ("help desk", "Support"))
    with pytest.raises(NotFound):
        users.show_user(any_server, desk, user.login)
    domains.move_domain(any_server, ROOT, "Sales", "Support", now=NOW)
    # scopes follow; policies, which are not inherited, stay: no offline data are replaced
    assert users.show_user(any_server, actor_again(any_server, administrator), user.login).domain == "Bern"
    assert generation(any_server, user.account_id) == before
    (moved,) = logged_events(any_server, Action.DOMAIN_MOVED)
    assert moved.detail == '{"before":"SystemDomain","name":"Sales","parent":"Support"}'


def test_no_domain_is_below_itself(server: Instance) -> None:
    add_tree(server)
    for parent in ("Sales", "Bern"):
        with pytest.raises(Conflict, match="below it"):
            domains.move_domain(server, ROOT, "Sales", parent, now=NOW)
    with pytest.raises(NotAllowed, match="cannot be moved or removed"):
        domains.move_domain(server, ROOT, TOP_DOMAIN, "Sales", now=NOW)


def test_only_an_empty_domain_is_removed(any_server: Instance) -> None:
    add_tree(any_server)
    user = a_user(any_server, domain="Bern")
    device = a_device(any_server, domain="Bern")
    invitations.invite(any_server, ROOT, "unused", "Bern", now=NOW)
    clients.add_client(any_server, ROOT, "portal", "Bern", now=NOW)
    with pytest.raises(Conflict, match=r"'Bern' is not empty: 1 user, 1 device, 1 API client$"):
        domains.remove_domain(any_server, ROOT, "Bern", now=NOW)
    with pytest.raises(Conflict, match=r"'Sales' is not empty: 1 domain$"):
        domains.remove_domain(any_server, ROOT, "Sales", now=NOW)
    users.move_user(any_server, ROOT, user.login, "Sales", now=NOW)
    devices.revoke(any_server, ROOT, device.device_id, now=NOW)
    clients.revoke_client(any_server, ROOT, "portal", now=NOW)
    domains.remove_domain(any_server, ROOT, "Bern", now=NOW)
    assert [each.name for each in domains.list_domains(any_server, ROOT)] == [TOP_DOMAIN, "Sales", "Support"]
    assert [each.domain for each in devices.list_devices(any_server, ROOT)] == ["Sales"]
    with pytest.raises(NotAllowed, match="cannot be moved or removed"):
        domains.remove_domain(any_server, ROOT, TOP_DOMAIN, now=NOW)


def test_a_domain_in_which_roles_are_granted_stays(server: Instance) -> None:
    add_tree(server)
    _, actor = an_administrator(server, ("help desk", "Bern"))
    assert actor.may(Permission.USER_VIEW, None) is False
    with pytest.raises(Conflict, match=r"1 role granted$"):
        domains.remove_domain(server, ROOT, "Bern", now=NOW)
