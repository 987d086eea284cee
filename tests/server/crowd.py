"""More objects of each kind than a page shows at once, so that a page's costs do not depend on their number.

Rules: all of it lies in the domain Sales or is seen from there; Alice has several tokens, is on many devices and in
much of the audit log.
"""

from secrets import token_hex
from typing import Final

from sparekey.app.audit import SYSTEM
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import show
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance
from sparekey.app.notices import raise_alarm
from sparekey.app.people import domains, roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import UserEdit
from sparekey.app.policies import policies
from sparekey.app.sessions import clients
from sparekey.app.sessions.passkeys import insert_passkey
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.app.tokens.tokens import NewToken, add_token
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.permissions import Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.passkeys import NewPasskey
from tests.authenticators import PLACE
from tests.builders import (
    CALLED_BACK,
    HELP_DESK,
    NOW,
    ROOT,
    User,
    a_device,
    a_token,
    a_user,
    ask_for_passcode,
    denied,
    granted,
    submit,
)
from tests.server.operation_world import INSIDE, session_of

MANY: Final = 120  # more than the rows of any page
SOME: Final = 12  # objects of one user or one device


def gather(instance: Instance, alice: User) -> None:
    """Add all objects."""
    _domains_and_policies(instance)
    people = [_a_person(instance, number) for number in range(MANY)]
    _rights(instance, people)
    _devices(instance, alice, people)
    for _ in range(3):  # four at most
        a_token(instance, alice.login, alice.account_id)
    for _ in range(SOME):
        insert_passkey_of(instance, alice)
    _audit_log(instance, alice)


def _words() -> str:
    """Return words that compression cannot shrink."""
    return f"{token_hex(8)} {token_hex(12)}"


def _domains_and_policies(instance: Instance) -> None:
    for number in range(MANY):
        domains.add_domain(instance, ROOT, f"Branch {number} {token_hex(6)}", INSIDE, now=NOW)
    for kind in PolicyKind:
        for number in range(SOME):
            policies.add_policy(instance, ROOT, kind, f"{kind} {number} {token_hex(6)}", {}, now=NOW)
    policies.assign_policy(instance, ROOT, PolicyKind.OFFLINE, "Default", INSIDE, now=NOW)


def _a_person(instance: Instance, number: int) -> User:
    """Create a user, some with wrong passcodes, emergency access, or a token that is no longer assigned."""
    user = a_user(instance, f"person{number:04}.{token_hex(4)}", domain=INSIDE)
    edit = UserEdit(name=_words(), mail=f"{token_hex(8)}@{token_hex(6)}.example.org")
    users.edit_user(instance, ROOT, user.login, edit, now=NOW)
    denied(submit(instance, user, NOW, user.wrong(NOW)))
    if number % SOME == 0:
        online_emergency.give_fixed(instance, ROOT, user.serial, online_emergency.Terms(), CALLED_BACK, now=NOW)
    if number % 3 == 1:
        spare = add_token(instance, ROOT, user.login, NewToken(), now=NOW).serial
        token_lifecycle.unassign(instance, ROOT, spare, now=NOW)
    return user


def _rights(instance: Instance, people: list[User]) -> None:
    every = sorted(permission.value for permission in Permission)
    for number in range(SOME):
        roles.add_role(instance, ROOT, f"role {number} {token_hex(6)}", every, now=NOW)
    for number, user in enumerate(people):
        clients.add_client(instance, ROOT, f"client{number}-{token_hex(4)}", INSIDE, now=NOW)
        roles.grant(instance, ROOT, "auditor", HolderKind.USER, user.login, INSIDE, now=NOW)
        session_of(instance, user)


def _devices(instance: Instance, alice: User, people: list[User]) -> None:
    """Create devices: many users have signed in on the one that the pages show; Alice signed in on many."""
    for number in range(SOME):
        device = a_device(instance, f"machine{number}-{token_hex(4)}", domain=INSIDE)
        granted(device.sign_in(alice, NOW + 60 * (number + 1)).outcome)
    shared = a_device(instance, f"kiosk-{token_hex(4)}", domain=INSIDE)
    for user in people[1:SOME]:
        granted(shared.sign_in(user, NOW + 60).outcome)
    for number in range(MANY):
        a_device(instance, f"desk{number}-{token_hex(4)}", domain=INSIDE)
    with instance.database.write() as connection:
        for user in people:
            ask_for_passcode(connection, HELP_DESK, user.account_id, shared.device_id, _showing())


def _showing() -> Showing:
    return Showing(_words(), _words(), "T-1")


def insert_passkey_of(instance: Instance, user: User) -> None:
    with instance.database.write() as connection:
        made = NewPasskey(token_hex(16).encode(), b"its key", 0)
        insert_passkey(connection, ROOT, user.account_id, PLACE, f"key {token_hex(4)}", made, NOW)


def _audit_log(instance: Instance, alice: User) -> None:
    """Add shown codes, alarms, and requests for approval."""
    for _ in range(SOME):
        show(
            instance, HELP_DESK, CodeKind.TOKENCODE, alice.serial, "laptop", Showing(_words(), _words(), "T-1"), now=NOW
        )
        show(instance, HELP_DESK, CodeKind.PASSCODE, alice.login, "laptop", Showing(_words(), _words(), "T-1"), now=NOW)
    with instance.database.write() as connection:
        for _ in range(MANY):
            raise_alarm(connection, NOW, SYSTEM, Action.ALARM_CLOCK, account=alice.account_id)
