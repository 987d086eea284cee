"""Reading the audit log: filters by actor, result and time; and how far it is chained."""

from pathlib import Path

import pytest

from sparekey.app.audit_log.reading import chain_state, list_events
from sparekey.app.audit_log.sequencer import chain
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import users
from sparekey.app.people.domains import add_domain
from sparekey.app.sign_in.verification import SignInInterface
from sparekey.core.audit_log.actions import Action
from sparekey.core.errors import NotAllowed, NotFound
from sparekey.core.permissions import Actor
from sparekey.keystore.checkpoint_file import CheckpointFile
from sparekey.storage.unit_of_work import Database
from tests.app.administrators import an_administrator
from tests.builders import NOW, REST, ROOT, User, a_device, a_user, an_instance, submit


@pytest.fixture
def instance(database: Database) -> Instance:
    return an_instance(database)


@pytest.fixture
def alice(instance: Instance) -> User:
    return a_user(instance, "alice")


def actions(instance: Instance, **wanted: object) -> list[str]:
    return [row.action for row in list_events(instance, ROOT, **wanted)]  # type: ignore[arg-type] # a builder


def test_events_are_filtered_by_result(instance: Instance, alice: User) -> None:
    submit(instance, alice, NOW)
    submit(instance, alice, NOW, alice.wrong(NOW))
    assert actions(instance, user="alice", result="refused") == [Action.SIGN_IN_DENIED]
    assert actions(instance, user="alice", result="wrong-passcode") == [Action.SIGN_IN_DENIED]
    assert actions(instance, user="alice", result="locked") == []
    assert Action.SIGN_IN_DENIED not in actions(instance, user="alice", result="ok")


def test_events_are_filtered_by_actor(instance: Instance, alice: User) -> None:
    device = a_device(instance, "laptop")
    device.sign_in(alice, NOW)
    _, carol = an_administrator(instance, ("domain administrator", TOP_DOMAIN))
    users.set_enabled(instance, carol, "alice", enabled=False, now=NOW)
    assert Action.SIGN_IN_GRANTED in actions(instance, by="laptop")
    login = next(row.by for row in list_events(instance, ROOT) if row.actor == carol.name)
    assert set(actions(instance, by=login)) == {Action.USER_DISABLED}
    assert set(actions(instance, by=carol.name)) == {Action.USER_DISABLED}
    with pytest.raises(NotFound, match="nobody"):
        list_events(instance, ROOT, by="nobody")


def test_events_are_filtered_by_the_actor_s_shown_name(instance: Instance, alice: User) -> None:
    submit(instance, alice, NOW, interface=SignInInterface("self:192.0.2.7"))
    users.set_enabled(instance, ROOT, "alice", enabled=False, now=NOW)
    assert Action.USER_DISABLED in actions(instance, by=ROOT.name.removeprefix("os:"))
    assert actions(instance, by="192.0.2.7") == [Action.SIGN_IN_GRANTED]
    assert actions(instance, by="self:192.0.2.7") == [Action.SIGN_IN_GRANTED]
    assert actions(instance, by="the server") == actions(instance, by="system")


def test_a_user_s_login_wins_over_an_operating_system_account(instance: Instance) -> None:
    a_user(instance, ROOT.name.removeprefix("os:"))
    assert actions(instance, by=ROOT.name.removeprefix("os:")) == []


def test_a_user_out_of_scope_is_not_found_by_name(instance: Instance, alice: User) -> None:
    submit(instance, alice, NOW, interface=SignInInterface("self:192.0.2.7"))
    add_domain(instance, ROOT, "Elsewhere", now=NOW)
    user, stranger = an_administrator(instance, ("domain administrator", "Elsewhere"), domain="Elsewhere")
    with pytest.raises(NotFound, match="no event of an actor"):
        list_events(instance, stranger, user=user.login, by="192.0.2.7")


def test_events_are_filtered_by_time_inclusively(instance: Instance, alice: User) -> None:
    for at in (NOW, NOW + 60, NOW + 120):
        submit(instance, alice, at, alice.wrong(at))
    assert len(actions(instance, actions=(Action.SIGN_IN_DENIED,), since=NOW + 60, until=NOW + 60)) == 1
    assert len(actions(instance, actions=(Action.SIGN_IN_DENIED,), since=NOW + 60)) == 2
    assert len(actions(instance, actions=(Action.SIGN_IN_DENIED,), until=NOW + 60)) == 2


@pytest.mark.parametrize("beyond", [2**53 - 1, -(2**53) + 1])
def test_events_are_filtered_by_times_beyond_the_column_s_range(instance: Instance, alice: User, beyond: int) -> None:
    submit(instance, alice, NOW)
    assert bool(actions(instance, user="alice", since=beyond)) is (beyond < 0)
    assert bool(actions(instance, user="alice", until=beyond)) is (beyond > 0)


def test_the_chain_state_counts_unchained_events(instance: Instance, alice: User, tmp_path: Path) -> None:
    assert chain_state(instance, ROOT).batch == 0
    chain(instance.database, instance.keystore, CheckpointFile(tmp_path / "checkpoint"), NOW)
    submit(instance, alice, NOW, interface=REST)
    state = chain_state(instance, ROOT)
    assert (state.batch, state.signed_at, state.waiting) == (1, NOW, 1)


def test_the_state_of_the_chain_needs_the_whole_audit_log_in_scope(instance: Instance) -> None:
    reader: Actor = Actor("user:somebody")
    with pytest.raises(NotAllowed):
        chain_state(instance, reader)
