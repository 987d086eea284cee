"""A site with something of everything on it, so that every page has something to show; named as the test wishes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sparekey.app.audit import SYSTEM
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.offline import show
from sparekey.app.emergency.showing import Showing
from sparekey.app.notices import raise_alarm
from sparekey.app.offline.sync import save_contact
from sparekey.app.people import roles
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import UserEdit, edit_user
from sparekey.app.policies import policies
from sparekey.app.sessions import clients
from sparekey.app.tokens import life_cycle as token_lifecycle
from sparekey.clock import now as clock_now
from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.offline.self_report import LONGEST_EXEMPT, SelfReport
from sparekey.core.offline.units import Protection
from sparekey.core.permissions import Actor
from sparekey.core.policy.kinds import PolicyKind
from sparekey.server.web.pages import Page
from tests.browser.rig import Site
from tests.builders import CALLED_BACK, PIN, ROOT, User, a_token, a_user, ask_for_passcode
from tests.server.page_world import names_of, placed


@dataclass(frozen=True)
class Names:
    """The names of the objects; each of them reaches some page."""

    login: str = "alice"
    name: str = "Alice Example"
    domain: str = "Sales"
    device: str = "laptop-alice"
    client: str = "crm"
    role: str = "desk"
    policy: str = "Strict"
    said: str = "called back"


@dataclass(frozen=True)
class Furnished:
    """A site with objects on every page. `with_another`: Alice with a token that has no other codes, so that she can
    sign in with it."""

    site: Site
    admin: User
    alice: User
    with_another: User
    names: Mapping[str, str]

    def address(self, page: Page) -> str:
        return placed(page, self.names)


def furnish(site: Site, names: Names = Names()) -> Furnished:
    """Furnish a site: Alice of Sales has a laptop with a shown code, an approval waits, an alarm is listed."""
    instance, now = site.instance, clock_now()
    add_domain(instance, ROOT, names.domain, now=now)
    admin = site.person(f"admin-{names.login}")
    alice = a_user(instance, names.login, pin=PIN, domain=names.domain, now=now - 3_600)
    edit_user(instance, ROOT, names.login, UserEdit(name=names.name, mail="alice@example.org"), now=now)
    bob = a_user(instance, f"bob-{names.login}", now=now - 3_600)
    spare = a_token(instance, bob.login, bob.account_id, with_pin=True, now=now - 3_600).serial
    token_lifecycle.unassign(instance, ROOT, spare, now=now)
    device = site.filled_device(alice, names.device)
    another = a_token(instance, alice.login, alice.account_id, pin=PIN, now=now - 3_600)
    clients.add_client(instance, ROOT, names.client, names.domain, now=now)
    roles.add_role(instance, ROOT, names.role, ["user.view", "token.view"], now=now)
    roles.grant(instance, ROOT, names.role, HolderKind.CLIENT, names.client, names.domain, now=now)
    policies.add_policy(instance, ROOT, PolicyKind.TOKEN, names.policy, {}, now=now)
    policies.assign_policy(instance, ROOT, PolicyKind.TOKEN, names.policy, names.domain, now=now)
    said = Showing(names.said, names.said, names.said[:100])
    operator = Actor.of_system(f"os:desk-{names.login}")  # each is shown so many codes an hour
    show(instance, operator, CodeKind.TOKENCODE, alice.serial, None, said, now=now)
    online_emergency.give_fixed(instance, operator, alice.serial, online_emergency.Terms(), CALLED_BACK, now=now)
    with instance.database.write() as connection:
        said_itself = SelfReport(hardware_bound=True, protection=Protection.TPM, exempt=(names.said[:LONGEST_EXEMPT],))
        save_contact(connection, device.row, said_itself, now=now)
        raise_alarm(connection, now, SYSTEM, Action.ALARM_CLOCK, account=alice.account_id)
        ask_for_passcode(connection, ROOT, alice.account_id, device.device_id, said, now)
    called = names_of(
        login=names.login, serial=alice.serial, device_id=device.device_id, client=names.client, domain=names.domain
    )
    return Furnished(site, admin, alice, another, called)
