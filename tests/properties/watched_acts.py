"""Acts of users, operators and devices that change what decides, by name: for the properties of the watch (S47).

Each act takes the world and three numbers that choose its objects. An act that the server refuses changes nothing.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sparekey.app.devices.devices import revoke
from sparekey.app.devices.invitations import invite, list_invitations, withdraw
from sparekey.app.devices.stolen import report_stolen
from sparekey.app.emergency import online
from sparekey.app.emergency.offline import set_online
from sparekey.app.emergency.online import Terms
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import domains, roles, users
from sparekey.app.people.admin_links import make_link, use_with_token
from sparekey.app.people.imports import import_users
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import UserEdit
from sparekey.app.policies import policies
from sparekey.app.sessions import clients, passkeys
from sparekey.app.sessions.administrators import open_session
from sparekey.app.tokens import life_cycle, tokens
from sparekey.app.tokens.resync import resync
from sparekey.core.emergency.online import IfAvailable
from sparekey.core.errors import SparekeyError
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.sign_in.passkeys import NewPasskey, RelyingParty
from sparekey.core.tokens import OtpToken
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from tests.builders import CALLED_BACK, DAY, NOW, PIN, ROOT, Device, User, a_device, a_user, submit
from tests.token_stock import a_stocked_token

PLACE: Final = RelyingParty("keys.example", ("https://keys.example",))
DOMAINS: Final = (TOP_DOMAIN, "Sales", "Bern")
ROLES: Final = ("Desk", "help desk", "auditor")
EDITS: Final[Mapping[PolicyKind, Mapping[str, str]]] = {
    PolicyKind.OFFLINE: {"warn_days": "3"},
    PolicyKind.TOKEN: {"next_tokencode_after": "2"},
    PolicyKind.LOCKOUT: {"most_failures": "9"},
}


class Numbers(NamedTuple):
    """Three numbers that choose the objects of an act."""

    a: int
    b: int
    c: int


@dataclass
class Scene:
    """A server with three users and the objects that acts have added."""

    server: Instance
    now: int = NOW
    people: list[User] = field(default_factory=list)
    otps: dict[str, OtpToken] = field(default_factory=dict)  # by serial, of event-based and stocked tokens
    serials: list[str] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    names: int = 0

    @classmethod
    def of(cls, server: Instance) -> "Scene":
        world = cls(server)
        for number in range(3):
            user = a_user(server, pin=PIN if number else "")
            world.people.append(user)
            world.serials.append(user.serial)
        world.serials.append(a_stocked_token(server).serial)
        world.devices.append(a_device(server))
        return world

    def user(self, number: int) -> User:
        return self.people[number % len(self.people)]

    def serial(self, number: int) -> str:
        return self.serials[number % len(self.serials)]

    def device(self, number: int) -> Device:
        return self.devices[number % len(self.devices)]

    def domain(self, number: int) -> str:
        return DOMAINS[number % len(DOMAINS)]

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}{self.names}"

    def do(self, act: str, *numbers: int) -> None:
        """Perform the act at a later second. Ignore that the server refuses it."""
        self.now += 31
        with suppress(SparekeyError):
            ACTS[act](self, Numbers(*numbers))


Act = Callable[[Scene, Numbers], object]


def _signs_in(world: Scene, n: Numbers) -> None:
    user = world.user(n.a)
    if n.b % 2:
        world.device(n.c).sign_in(user, world.now)
    else:
        submit(world.server, user, world.now, user.wrong(world.now) if n.c % 4 == 3 else None)


def _signs_in_offline(world: Scene, n: Numbers) -> None:
    device = world.device(n.b)
    device.offline_success(world.user(n.a), world.now)
    device.upload(world.now)


def _opens_a_session(world: Scene, n: Numbers) -> None:
    user = world.user(n.a)
    open_session(world.server, "192.0.2.1", user.login, user.typed(world.now), Secret(""), world.now)


def _adds_a_token(world: Scene, n: Numbers) -> None:
    wish = tokens.NewToken(digits=8, type="hotp" if n.b % 2 else "totp", with_pin=n.c % 2 == 0)
    added = tokens.add_token(world.server, ROOT, world.user(n.a).login, wish, now=world.now)
    world.serials.append(added.serial)
    world.otps[added.serial] = added.otp


def _stocks_a_token(world: Scene, n: Numbers) -> None:
    kind = "hotp" if n.b % 2 else "totp"
    stocked = a_stocked_token(world.server, type_name=kind, pin=n.c % 2 == 0, domain=world.domain(n.a), now=world.now)
    world.serials.append(stocked.serial)
    world.otps[stocked.serial] = stocked.otp


def _resyncs(world: Scene, n: Numbers) -> None:
    user = world.user(n.a)
    step = user.step(world.now) + n.b % 20
    first, second = (Secret(user.totp.code(each)) for each in (step, step + 1))
    resync(world.server, ROOT, user.serial, first, second, now=world.now)


def _imports_users(world: Scene, n: Numbers) -> None:
    names = [world.name("imported") for _ in range(3)]
    lines = [f"{names[0]},,", f"{names[1]},Sales,", f"{names[2]},,2099-12-31"]
    data = "\n".join(["login,domain,expires", *lines, ""]).encode()
    import_users(world.server, ROOT, data, domain=world.domain(n.a), now=world.now)


def _edits_a_user(world: Scene, n: Numbers) -> None:
    expiry = (None, 0, world.now + DAY, world.now + 9 * DAY)[n.b % 4]
    edit = UserEdit(name=f"Name {n.c}" if n.c % 2 else None, expires_at=expiry)
    users.edit_user(world.server, ROOT, world.user(n.a).login, edit, now=world.now)


def _grants_or_revokes(world: Scene, n: Numbers) -> None:
    change = roles.grant if n.c % 2 else roles.revoke
    role, domain = ROLES[n.b % len(ROLES)], world.domain(n.a + n.b)
    change(world.server, ROOT, role, HolderKind.USER, world.user(n.a).login, domain, now=world.now)


def _changes_a_role(world: Scene, n: Numbers) -> None:
    wanted = ["user.view", "token.view"] if n.b % 2 else ["user.view"]
    if n.a % 4 == 0:
        roles.add_role(world.server, ROOT, "Desk", wanted, now=world.now)
    elif n.a % 4 == 1:
        roles.remove_role(world.server, ROOT, "Desk", now=world.now)
    else:
        roles.set_permissions(world.server, ROOT, "Desk", wanted, now=world.now)


def _changes_the_tree(world: Scene, n: Numbers) -> None:
    name, parent = DOMAINS[1 + n.a % 2], world.domain(n.b + n.c)
    match n.b % 3:
        case 0:
            domains.add_domain(world.server, ROOT, name, parent, now=world.now)
        case 1:
            domains.move_domain(world.server, ROOT, name, parent, now=world.now)
        case _:
            domains.remove_domain(world.server, ROOT, name, now=world.now)


def _changes_a_policy(world: Scene, n: Numbers) -> None:
    kind, name = tuple(PolicyKind)[n.a % 3], ("Default", "Own")[n.b % 2]
    match n.c % 5:
        case 0:
            policies.add_policy(world.server, ROOT, kind, "Own", {}, now=world.now)
        case 1:
            policies.set_fields(world.server, ROOT, kind, name, EDITS[kind], confirmed=True, now=world.now)
        case 2:
            chosen = name if n.a % 2 else None
            policies.assign_policy(
                world.server, ROOT, kind, chosen, world.domain(n.a + n.b), confirmed=True, now=world.now
            )
        case 3:
            policies.make_default(world.server, ROOT, kind, name, confirmed=True, now=world.now)
        case _:
            policies.remove_policy(world.server, ROOT, kind, name, confirmed=True, now=world.now)


def _gives_access(world: Scene, n: Numbers) -> None:
    terms = Terms(1, tuple(IfAvailable)[n.c % 3])
    serial = world.user(n.a).serial
    if n.b % 2:
        given = online.give_one_time(world.server, ROOT, serial, 3, terms, CALLED_BACK, now=world.now)
    else:
        given = online.give_fixed(world.server, ROOT, serial, terms, CALLED_BACK, now=world.now)
    user = world.user(n.a)
    if n.c % 2:
        submit(world.server, user, world.now, Secret(user.pin + given.codes[0].reveal()))


def _adds_or_removes_a_passkey(world: Scene, n: Numbers) -> None:
    user = world.user(n.a)
    if n.b % 3:
        made = NewPasskey(secrets.token_bytes(16), b"key", 0)
        with world.server.database.write() as connection:
            accounts.lock_accounts(connection, [user.account_id])
            passkeys.insert_passkey(connection, ROOT, user.account_id, PLACE, "key", made, world.now)
    else:
        for view in passkeys.list_passkeys(world.server, ROOT, user.login)[:1]:
            passkeys.remove_passkey(world.server, ROOT, user.login, view.passkey, now=world.now)


def _changes_a_client(world: Scene, n: Numbers) -> None:
    name = f"client{n.a % 2}"
    if n.b % 2:
        clients.add_client(world.server, ROOT, name, now=world.now)
        roles.grant(world.server, ROOT, "auditor", HolderKind.CLIENT, name, TOP_DOMAIN, now=world.now)
    else:
        clients.revoke_client(world.server, ROOT, name, now=world.now)


def _invites_or_withdraws(world: Scene, n: Numbers) -> None:
    if n.a % 3 == 0:
        invite(world.server, ROOT, world.name("invited"), now=world.now)
    elif n.a % 3 == 1:
        world.devices.append(a_device(world.server, now=world.now))
    else:
        for invitation in list_invitations(world.server, ROOT, now=world.now)[:1]:
            withdraw(world.server, ROOT, invitation.id, now=world.now)


def _loses_a_device(world: Scene, n: Numbers) -> None:
    if n.b % 2:
        revoke(world.server, ROOT, world.device(n.a).device_id, now=world.now)
    else:
        report_stolen(world.server, ROOT, world.device(n.a).device_id, now=world.now)


def _uses_a_link(world: Scene, n: Numbers) -> None:
    link = make_link(world.server, ROOT, now=world.now)
    if n.a % 2:
        use_with_token(world.server, link.code, world.name("super"), Secret("8261hgdk"), world.now)


ACTS: Final[Mapping[str, Act]] = {
    "signs in": _signs_in,
    "signs in offline": _signs_in_offline,
    "opens a session": _opens_a_session,
    "adds a token": _adds_a_token,
    "stocks a token": _stocks_a_token,
    "resyncs": _resyncs,
    "imports users": _imports_users,
    "edits a user": _edits_a_user,
    "enables or disables a user": lambda w, n: users.set_enabled(
        w.server, ROOT, w.user(n.a).login, enabled=n.b % 2 == 0, now=w.now
    ),
    "unlocks": lambda w, n: users.unlock(w.server, ROOT, w.user(n.a).login, now=w.now),
    "moves a user": lambda w, n: users.move_user(w.server, ROOT, w.user(n.a).login, w.domain(n.b), now=w.now),
    "assigns": lambda w, n: life_cycle.assign(
        w.server, ROOT, w.serial(n.a), w.user(n.b).login, enable=n.c % 2 == 0, now=w.now
    ),
    "unassigns": lambda w, n: life_cycle.unassign(w.server, ROOT, w.serial(n.a), now=w.now),
    "replaces": lambda w, n: life_cycle.replace(w.server, ROOT, w.serial(n.a), None, keep_pin=n.b % 2 == 0, now=w.now),
    "removes a token": lambda w, n: life_cycle.remove(
        w.server, ROOT, w.serial(n.a), assigned_too=n.b % 2 == 0, now=w.now
    ),
    "enables or disables a token": lambda w, n: tokens.set_enabled(
        w.server, ROOT, w.serial(n.a), enabled=n.b % 2 == 0, now=w.now
    ),
    "marks a token": lambda w, n: tokens.set_lost(w.server, ROOT, w.serial(n.a), lost=n.b % 2 == 0, now=w.now),
    "sets an expiry": lambda w, n: tokens.set_expiry(
        w.server, ROOT, w.serial(n.a), expires_at=w.now + n.b * DAY if n.b % 3 else None, now=w.now
    ),
    "sets a PIN": lambda w, n: tokens.set_pin(
        w.server, ROOT, w.serial(n.a), Secret(f"9{n.b:03d}ghkm"), must_change=n.c % 2 == 0, now=w.now
    ),
    "clears a PIN": lambda w, n: tokens.clear_pin(w.server, ROOT, w.serial(n.a), now=w.now),
    "allows the offline code": lambda w, n: set_online(w.server, ROOT, w.serial(n.a), allowed=n.b % 2 == 0, now=w.now),
    "gives access": _gives_access,
    "ends access": lambda w, n: online.end(w.server, ROOT, w.user(n.a).serial, now=w.now),
    "grants or revokes": _grants_or_revokes,
    "changes a role": _changes_a_role,
    "changes the tree": _changes_the_tree,
    "changes a policy": _changes_a_policy,
    "adds or removes a passkey": _adds_or_removes_a_passkey,
    "changes a client": _changes_a_client,
    "invites or withdraws": _invites_or_withdraws,
    "loses a device": _loses_a_device,
    "uses a link": _uses_a_link,
}
