"""Everything that can be done over REST, one line each: routes, OpenAPI, the remote command line and the tests of who
may do what are derived from it.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

from sparekey.app.audit_log import alarms
from sparekey.app.audit_log import forwarding as event_forwarding
from sparekey.app.audit_log import reading as audit_reading
from sparekey.app.devices import devices, invitations
from sparekey.app.devices import stolen as devices_stolen
from sparekey.app.emergency import approvals, rate_limit
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import SHOW_PERMISSIONS
from sparekey.app.people import domains, roles, users
from sparekey.app.people import imports as user_imports
from sparekey.app.policies import policies
from sparekey.app.reports import reports, why
from sparekey.app.rest.operation import Operation
from sparekey.app.sessions import clients, passkeys
from sparekey.app.sessions import lists as session_lists
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens import resync as token_resync
from sparekey.app.tokens import tokens
from sparekey.core.permissions import Permission

_P: Final = Permission
_FILE: Final = 64 * 2**20  # bytes of JSON: a file is in it in hex

_CONFIRMED: Final = "If that discards data on devices, it needs `confirmed`, else 403 `confirmation-needed`."

OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("POST", "/v1/users", users.add_user, _P.USER_ADD, "Add a user to a domain.", answers="id"),
    Operation("GET", "/v1/users", users.list_users, _P.USER_VIEW, "List users by login name.", pages_by="login"),
    Operation("GET", "/v1/users/{login}", users.show_user, _P.USER_VIEW, "Show a user."),
    Operation(
        "PATCH",
        "/v1/users/{login}",
        users.edit_user,
        _P.USER_EDIT,
        "Change name, mail address or end of a user; 0 takes the end away.",
    ),
    Operation(
        "POST", "/v1/user-imports", user_imports.import_users, _P.USER_ADD, "Import users from CSV.", largest=_FILE
    ),
    Operation("PUT", "/v1/users/{login}/enabled", users.set_enabled, _P.USER_EDIT, "Enable or disable a user."),
    Operation(
        "POST",
        "/v1/users/{login}/unlock",
        users.unlock,
        _P.USER_UNLOCK,
        "Clear a user's lock and count of failures.",
        answers="cleared",
    ),
    Operation("PUT", "/v1/users/{login}/domain", users.move_user, _P.USER_MOVE, "Move a user to another domain."),
    Operation(
        "GET",
        "/v1/users/{login}/effective-policy",
        policies.effective_of,
        _P.USER_VIEW,
        "Show the offline policy in force for a user, on this device or on one of their own domain.",
    ),
    Operation(
        "POST",
        "/v1/users/{login}/tokens",
        tokens.add_token,
        _P.TOKEN_ASSIGN,
        "Add a token for a user; without a seed it gets a fresh one, shown here once.",
    ),
    Operation(
        "GET",
        "/v1/tokens",
        tokens.list_tokens,
        _P.TOKEN_VIEW,
        "List tokens by serial number, or those of one user.",
        pages_by="serial",
    ),
    Operation("GET", "/v1/tokens/{serial}", tokens.show_token, _P.TOKEN_VIEW, "Show a token."),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}",
        token_lifecycle.remove,
        _P.TOKEN_REMOVE,
        "Remove a token; with `assigned_too` even from its user.",
    ),
    Operation(
        "POST",
        "/v1/token-imports",
        token_imports.import_tokens,
        _P.TOKEN_IMPORT,
        "Import tokens from CSV, PSKC or .sdtid.",
        largest=_FILE,
    ),
    Operation(
        "PUT",
        "/v1/tokens/{serial}/user",
        token_lifecycle.assign,
        _P.TOKEN_ASSIGN,
        "Give a token that nobody has to a user.",
    ),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/user",
        token_lifecycle.unassign,
        _P.TOKEN_ASSIGN,
        "Take a token from its user.",
        answers="user",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/replace",
        token_lifecycle.replace,
        _P.TOKEN_ASSIGN,
        "Put another token in the place of this one; without a serial number: one that is free.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/resync",
        token_resync.resync,
        _P.TOKEN_EDIT,
        "Find a token that ran away by two codes that follow one another.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/pin", tokens.set_pin, _P.PIN_SET, "Set the PIN of a token."),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/pin",
        tokens.clear_pin,
        _P.PIN_SET,
        "Take the PIN of a token away: its user chooses a new one at the next sign-in.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/enabled", tokens.set_enabled, _P.TOKEN_EDIT, "Enable or disable a token."),
    Operation(
        "PUT",
        "/v1/tokens/{serial}/expiry",
        tokens.set_expiry,
        _P.TOKEN_EDIT,
        "Set until when a token can be used, or that it has no end.",
    ),
    Operation("PUT", "/v1/tokens/{serial}/lost", tokens.set_lost, _P.TOKEN_EDIT, "Mark a token as lost, or as found."),
    Operation(
        "PUT",
        "/v1/tokens/{serial}/offline-code-online",
        emergency.set_online,
        _P.EMERGENCY_ONLINE,
        "Let the server accept a token's offline emergency tokencode, or stop that.",
    ),
    Operation(
        "GET",
        "/v1/tokens/{serial}/online-emergency",
        online_emergency.access_of,
        _P.EMERGENCY_VIEW,
        "Show a token's temporary access at the server, without its codes.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/online-emergency/fixed",
        online_emergency.give_fixed,
        _P.EMERGENCY_TEMPORARY,
        "Give temporary access by one tokencode that works again and again.",
    ),
    Operation(
        "POST",
        "/v1/tokens/{serial}/online-emergency/one-time",
        online_emergency.give_one_time,
        _P.EMERGENCY_TEMPORARY,
        "Give temporary access by tokencodes that work once each.",
    ),
    Operation(
        "DELETE",
        "/v1/tokens/{serial}/online-emergency",
        online_emergency.end,
        _P.EMERGENCY_TEMPORARY,
        "End a token's temporary access.",
    ),
    Operation(
        "GET",
        "/v1/emergency-codes/{kind}/{name}",
        emergency.held_codes,
        _P.EMERGENCY_VIEW,
        "List which device holds which version of an offline emergency code (of a serial, or a login).",
    ),
    Operation(
        "GET",
        "/v1/emergency-codes/{kind}/{name}/history",
        emergency.history,
        _P.EMERGENCY_VIEW,
        "List what happened with an offline emergency code, newest first.",
    ),
    Operation(
        "POST",
        "/v1/emergency-codes/{kind}/{name}/showings",
        emergency.show,
        SHOW_PERMISSIONS,
        "Show the offline emergency code that the caller's device holds.",
    ),
    Operation(
        "POST",
        "/v1/emergency-codes/{kind}/{name}/reset",
        emergency.reset,
        _P.EMERGENCY_RESET,
        "Replace an offline emergency code at the next online sign-in.",
        answers="devices",
    ),
    Operation(
        "POST",
        "/v1/device-invitations",
        devices.invite,
        _P.DEVICE_INVITE,
        "Make a code for one enrolment of a device.",
        answers="code",
    ),
    Operation(
        "GET",
        "/v1/device-invitations",
        invitations.list_invitations,
        _P.DEVICE_VIEW,
        "List invitations that nobody has used yet, by the device's name.",
        pages_by="id",
    ),
    Operation(
        "DELETE",
        "/v1/device-invitations/{invitation_id}",
        invitations.withdraw,
        _P.DEVICE_REVOKE,
        "Withdraw an invitation: its code is refused from now on.",
    ),
    Operation(
        "GET", "/v1/devices", devices.list_devices, _P.DEVICE_VIEW, "List devices by name.", pages_by="device_id"
    ),
    Operation("GET", "/v1/devices/{name}", devices.show_device, _P.DEVICE_VIEW, "Show a device, by name or id."),
    Operation(
        "GET",
        "/v1/devices/{name}/units",
        devices.held_units,
        _P.DEVICE_VIEW,
        "List the offline data that a device was given.",
    ),
    Operation(
        "POST",
        "/v1/devices/{name}/revoke",
        devices.revoke,
        _P.DEVICE_REVOKE,
        "Refuse a device from now on; it erases everything at its next contact.",
    ),
    Operation(
        "GET",
        "/v1/devices/{name}/stolen",
        devices_stolen.look_at_stolen,
        _P.DEVICE_REVOKE,
        "Show what a report of theft would end, and for whom.",
    ),
    Operation(
        "POST",
        "/v1/devices/{name}/stolen",
        devices_stolen.report_stolen,
        _P.DEVICE_REVOKE,
        "Report a device as stolen: it is refused, and what it holds of anybody is ended.",
    ),
    Operation("POST", "/v1/domains", domains.add_domain, _P.DOMAIN_MANAGE, "Add a security domain."),
    Operation(
        "GET",
        "/v1/domains",
        domains.list_domains,
        _P.DOMAIN_VIEW,
        "List the security domains, each followed by those below it.",
    ),
    Operation(
        "GET",
        "/v1/domains/{name}",
        domains.show_domain,
        _P.DOMAIN_VIEW,
        "Show a security domain: the policies in force in it, and how much belongs to it.",
    ),
    Operation(
        "PUT",
        "/v1/domains/{name}/parent",
        domains.move_domain,
        _P.DOMAIN_MANAGE,
        "Move a security domain, with everything below it.",
    ),
    Operation(
        "DELETE",
        "/v1/domains/{name}",
        domains.remove_domain,
        _P.DOMAIN_MANAGE,
        "Remove a security domain to which nothing belongs.",
    ),
    Operation(
        "PUT",
        "/v1/domains/{domain}/policies/{kind}",
        policies.assign_policy,
        _P.POLICY_MANAGE,
        "Put a security domain under a policy; without a name: the default. " + _CONFIRMED,
    ),
    Operation(
        "POST",
        "/v1/policies/{kind}",
        policies.add_policy,
        _P.POLICY_MANAGE,
        "Add a policy: the defaults, but for the fields that are given.",
    ),
    Operation(
        "GET",
        "/v1/policies/{kind}",
        policies.list_policies,
        _P.POLICY_VIEW,
        "List policies of a kind by name.",
        pages_by="name",
    ),
    Operation("GET", "/v1/policies/{kind}/{name}", policies.show_policy, _P.POLICY_VIEW, "Show a policy."),
    Operation(
        "PATCH",
        "/v1/policies/{kind}/{name}",
        policies.set_fields,
        _P.POLICY_MANAGE,
        "Change fields of a policy. " + _CONFIRMED,
    ),
    Operation(
        "DELETE",
        "/v1/policies/{kind}/{name}",
        policies.remove_policy,
        _P.POLICY_MANAGE,
        "Remove a policy; its domains go back to the default. " + _CONFIRMED,
    ),
    Operation(
        "PUT",
        "/v1/policies/{kind}/{name}/default",
        policies.make_default,
        _P.POLICY_MANAGE,
        "Make a policy the default of its kind. " + _CONFIRMED,
    ),
    Operation("POST", "/v1/roles", roles.add_role, _P.ROLE_MANAGE, "Add a role of one's own."),
    Operation("GET", "/v1/roles", roles.list_roles, _P.ROLE_VIEW, "List roles, the predefined ones first."),
    Operation(
        "GET", "/v1/roles/{name}", roles.show_role, _P.ROLE_VIEW, "Show what a role allows, and who holds it where."
    ),
    Operation(
        "PUT",
        "/v1/roles/{name}/permissions",
        roles.set_permissions,
        _P.ROLE_MANAGE,
        "Give a role these permissions in the place of those that it has.",
    ),
    Operation("DELETE", "/v1/roles/{name}", roles.remove_role, _P.ROLE_MANAGE, "Remove a role that nobody holds."),
    Operation(
        "GET",
        "/v1/role-grants",
        roles.list_grants,
        _P.ROLE_VIEW,
        "List who holds which role where, or what one of them holds.",
    ),
    Operation(
        "POST",
        "/v1/role-grants",
        roles.grant,
        _P.ROLE_MANAGE,
        "Give a user or an API client a role in a domain and everything below it.",
    ),
    Operation(
        "DELETE",
        "/v1/role-grants/{role}/{kind}/{holder}/{domain}",
        roles.revoke,
        _P.ROLE_MANAGE,
        "Take a role away again.",
    ),
    Operation(
        "GET",
        "/v1/admin-sessions",
        session_lists.list_sessions,
        _P.SESSION_VIEW,
        "List who is signed in as an administrator, by login name.",
        pages_by="cursor",
    ),
    Operation(
        "DELETE",
        "/v1/admin-sessions/{session}",
        session_lists.end_session_of,
        _P.SESSION_END,
        "End a session of an administrator.",
    ),
    Operation(
        "GET", "/v1/users/{login}/passkeys", passkeys.list_passkeys, _P.USER_VIEW, "List the passkeys of a user."
    ),
    Operation(
        "DELETE",
        "/v1/users/{login}/passkeys/{passkey}",
        passkeys.remove_passkey,
        _P.TOKEN_EDIT,
        "Remove a passkey of a user, and end the user's sessions.",
    ),
    Operation(
        "POST",
        "/v1/clients",
        clients.add_client,
        _P.CLIENT_MANAGE,
        "Add an API client; its key is shown here once.",
        answers="key",
    ),
    Operation("GET", "/v1/clients", clients.list_clients, _P.CLIENT_VIEW, "List API clients by name.", pages_by="name"),
    Operation("GET", "/v1/clients/{name}", clients.show_client, _P.CLIENT_VIEW, "Show an API client."),
    Operation(
        "POST",
        "/v1/clients/{name}/revoke",
        clients.revoke_client,
        _P.CLIENT_MANAGE,
        "Refuse the key of an API client from now on.",
    ),
    Operation(
        "GET",
        "/v1/approvals",
        approvals.list_approvals,
        _P.EMERGENCY_APPROVE,
        "List the requests of the last day where the caller may approve, and the caller's own.",
        pages_by="id",
    ),
    Operation(
        "POST",
        "/v1/approvals/{approval_id}/approve",
        approvals.approve,
        _P.EMERGENCY_APPROVE,
        "Agree that an operator is shown an emergency passcode, once.",
    ),
    Operation(
        "POST",
        "/v1/approvals/{approval_id}/refuse",
        approvals.refuse,
        _P.EMERGENCY_APPROVE,
        "Refuse that an operator is shown an emergency passcode.",
    ),
    Operation(
        "GET",
        "/v1/operators",
        rate_limit.list_operators,
        _P.OPERATOR_LIFT,
        "List who was shown emergency codes within the last hour, or is let go on.",
    ),
    Operation(
        "POST",
        "/v1/operators/{operator}/lift",
        rate_limit.lift,
        _P.OPERATOR_LIFT,
        "Let an operator go on beyond the limit of showings.",
    ),
    Operation(
        "GET",
        "/v1/alarms",
        alarms.list_alarms,
        _P.AUDIT_VIEW,
        "List alarms, newest first: the open ones, or all.",
        pages_by="id",
    ),
    Operation(
        "POST",
        "/v1/alarms/{alarm_id}/acknowledge",
        alarms.acknowledge,
        _P.ALARM_ACKNOWLEDGE,
        "Say that somebody has looked at an alarm.",
    ),
    Operation(
        "GET",
        "/v1/users/{login}/why",
        why.explain,
        _P.USER_VIEW,
        "Explain every rule about a user's sign-in, online and on each device.",
    ),
    Operation(
        "GET",
        "/v1/reports/readiness",
        reports.readiness_page,
        _P.REPORT_VIEW,
        "List users on each of their devices: with what they would get in offline, and until when.",
    ),
    Operation(
        "GET",
        "/v1/reports/forecast",
        reports.forecast_page,
        _P.REPORT_VIEW,
        "List who could not sign in with their token if the network died, now or within a week.",
    ),
    Operation(
        "GET",
        "/v1/events",
        event_forwarding.next_events,
        _P.AUDIT_VIEW,
        "Give the events of the next batch of the record after this one.",
    ),
    Operation(
        "GET",
        "/v1/audit",
        audit_reading.list_record,
        _P.AUDIT_VIEW,
        "List the audit record, newest first.",
        pages_by="id",
    ),
)


@functools.cache
def _by_use_case() -> dict[Callable[..., Any], Operation]:
    return {operation.use_case: operation for operation in OPERATIONS}


def find_operation(use_case: Callable[..., Any]) -> Operation | None:
    """The operation of a use case; None: it is not for programs."""
    return _by_use_case().get(use_case)
