"""Journey: roles and scopes. Root sets the company up by commands; then each operator does their own work only."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparekey.app.audit_log.reading import list_events
from sparekey.app.authorisation import actor_of
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency.showing import Showing
from sparekey.app.instance import Instance
from sparekey.app.lookup import get_account, get_assigned_token
from sparekey.app.people import domains, roles, users
from sparekey.app.people.roles import HolderKind
from sparekey.app.reports import reports, why
from sparekey.app.tokens import tokens
from sparekey.app.tokens.tokens import NewToken, add_token, set_pin
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.explain.online import RuleResult
from sparekey.core.permissions import Actor, Permission
from sparekey.core.tokens import Totp
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import open_instance
from tests.builders import NOW, ROOT, User, a_filled_device
from tests.cli.server.commands import Operator

PEOPLE = """login,name,domain,mail
anna,Anna Sales,Sales,anna@example.org
bert,Bert Bern,Bern,
carl,Carl Support,Support,
desk,Dora Desk,Sales,
chief,Chris Chief,Sales,
keys,Kim Keys,Sales,
audit,Alex Audit,Support,
boss,Sam Super,SystemDomain,
"""
ROLES = (
    ("help desk", "desk", "Sales"),
    ("domain administrator", "chief", "Sales"),
    ("token administrator", "keys", "Sales"),
    ("auditor", "audit", "SystemDomain"),
    ("super administrator", "boss", "SystemDomain"),
)
PIN = "4711abcd"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[tuple[Operator, Instance]]:
    """Create domains, users from a file, and operators, all by commands."""
    operator = Operator(tmp_path / "data")
    operator.runs("init")
    operator.runs("policy", "offline", "set", "Default", "protection_level=light", "days=1", "--confirm")
    for name, parent in (("Sales", "SystemDomain"), ("Bern", "Sales"), ("Support", "SystemDomain")):
        operator.runs("domain", "add", name, "--parent", parent)
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    assert operator.runs("user", "import", str(tmp_path / "people.csv")).json["added"] == 8
    for role, login, domain in ROLES:
        operator.runs("role", "grant", role, login, "--domain", domain)
    instance = open_instance(operator.data, read_settings(operator.data, os.environ))
    yield operator, instance
    instance.database.close()


def acting(instance: Instance, login: str) -> Actor:
    with instance.database.read() as connection:
        return actor_of(connection, get_account(connection, ROOT, login, Permission.USER_VIEW).id)


def with_token(instance: Instance, who: Actor, login: str) -> User:
    """A token with a PIN, given by this operator."""
    added = add_token(instance, who, login, NewToken(), now=NOW)
    set_pin(instance, who, added.serial, Secret(PIN), now=NOW)
    assert isinstance(added.otp, Totp)
    with instance.database.read() as connection:
        token = get_assigned_token(connection, ROOT, added.serial, Permission.TOKEN_VIEW)
    return User(login, token.account_id, added.serial, token.id, added.otp, PIN)


def showing(instance: Instance, who: Actor, user: User) -> str:
    asked = Showing("called back")
    return emergency.show(instance, who, CodeKind.TOKENCODE, user.serial, None, asked, now=NOW).code.reveal()


def test_each_operator_can_do_their_own_work_only(company: tuple[Operator, Instance]) -> None:
    operator, instance = company
    desk, chief, keys, auditor, boss = (acting(instance, who) for who in ("desk", "chief", "keys", "audit", "boss"))

    # the token administrator hands out tokens in Sales and below, and nowhere else
    bert = with_token(instance, keys, "bert")
    with pytest.raises(NotFound):
        with_token(instance, keys, "carl")
    carl = with_token(instance, boss, "carl")
    with_token(instance, boss, "boss")
    for user in (bert, carl):
        a_filled_device(instance, user)

    # the help desk reads out the code of whom it may see
    assert len(showing(instance, desk, bert)) == 10
    with pytest.raises(NotFound):
        showing(instance, desk, carl)
    with pytest.raises(NotAllowed, match=r"emergency\.tokencode-show"):
        showing(instance, keys, bert)

    # operators gain no rights: neither over the chief of the domain nor by a role for themselves
    for login in ("chief", "keys"):
        with pytest.raises(NotAllowed, match="rights that you do not have"):
            users.unlock(instance, desk, login, now=NOW)
    with pytest.raises(NotAllowed):
        roles.grant(instance, desk, "domain administrator", HolderKind.USER, "desk", "Sales", now=NOW)
    with pytest.raises(NotAllowed, match="you can grant only permissions"):
        roles.grant(instance, chief, "super administrator", HolderKind.USER, "chief", "Sales", now=NOW)

    # the chief of Sales grants in Sales what they have themselves, and not in Support
    roles.grant(instance, chief, "help desk", HolderKind.USER, "anna", "Bern", now=NOW)
    with pytest.raises(NotFound):
        roles.grant(instance, chief, "help desk", HolderKind.USER, "anna", "Support", now=NOW)
    assert len(showing(instance, acting(instance, "anna"), bert)) == 10

    # the auditor sees all of it, and changes nothing
    assert {"emergency.shown", "role.granted"} <= {row.action for row in list_events(instance, auditor, limit=100)}
    with pytest.raises(NotAllowed):
        tokens.set_lost(instance, auditor, bert.serial, lost=True, now=NOW)
    assert {row.login for row in reports.readiness(instance, auditor, now=NOW)} == {
        line.split(",")[0] for line in PEOPLE.splitlines()[1:]
    }

    # Bern moves to Support: who was responsible is so no more
    domains.move_domain(instance, boss, "Bern", "Support", now=NOW)
    with pytest.raises(NotFound):
        showing(instance, acting(instance, "desk"), bert)
    with pytest.raises(NotFound):
        why.explain(instance, acting(instance, "chief"), "bert", now=NOW)
    assert why.explain(instance, boss, "bert", now=NOW).lines[0].verdict is RuleResult.OK

    # the last super administrator stays, for commands too
    assert operator.fails("role", "revoke", "super administrator", "boss").json["error"] == "not-allowed"
    granted = operator.runs("role", "show", "help desk").json["granted"]
    assert [(each["holder"], each["domain"]) for each in granted] == [("anna", "Bern"), ("desk", "Sales")]
