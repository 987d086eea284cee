"""The offline sign-in as a whole: its answer, its commits, and the trial of an emergency code."""

from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sparekey.agent.ground.account_names import Names
from sparekey.agent.ground.outcome import LoginAnswer, Mode, RefusalReason, Result
from sparekey.agent.ground.ports import Distance, StoreUnreadable, TpmFacts
from sparekey.agent.sign_in.offline import LoginOutcome, device_sentence, login_offline, try_emergency
from sparekey.agent.store.erasing import days_left, emergency_ends
from sparekey.passcode import new_code
from sparekey.secret import Secret
from tests.agent.devices import World, a_world, an_offline_world
from tests.agent.pin_locks import a_locked_world, a_locking_world, days, memory
from tests.agent.unit_entries import a_day, a_user, an_emergency_unit

HELD = "Device laptop holds emergency passcode version 1, emergency tokencode version 1. Call 4321."


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return Alice's device without a network and without logged events."""
    return without_events(an_offline_world(tmp_path / "store"))


def without_events(world: World) -> World:
    world.device.store.change(lambda state: replace(state, events=[]))
    return world


def logged(world: World) -> list[dict[str, object]]:
    """Return the members of each event that apply, without its chain."""
    chain = {"number", "previous", "signature"}
    return [
        {name: value for name, value in asdict(event).items() if value and name not in chain}
        for event in world.device.state.events
    ]


def tried(world: World, typed: str, account: str = "alice") -> LoginAnswer:
    return try_emergency(world.device, account, Secret(typed))


def offline(world: World, typed: str, login: str = "alice", *, remote: bool = False) -> LoginOutcome:
    return login_offline(world.device, login, Secret(typed), Distance.OFFLINE, remote=remote)


def damaged(world: World, *, emergency: bool) -> None:
    """Damage the files of the user's units."""
    for unit in world.held.units:
        if unit.is_emergency is emergency:
            (world.directory / "units" / unit.file).write_bytes(b"")


def at(world: World, **members: object) -> dict[str, object]:
    return {"at": world.server.now, "user": world.alice.user, "login": "alice", **members}


def codes_first(sentence: str) -> set[str]:
    """Return the parts of the sentence: units have no set order."""
    return set(sentence.replace("Device laptop holds ", "").replace(". ", ", ").split(", "))


def test_a_tokencode_is_granted_with_its_event_and_its_session(world: World) -> None:
    step, check, token = world.alice.token.step(world.server.now), world.held.check, world.held.tokens[0].token
    outcome = offline(world, world.passcode())
    end = world.alice.codes_end
    message = "Signed in offline. 0 days of offline data left: connect to the network soon."
    assert outcome.answer == LoginAnswer(Result.GRANTED, Mode.OFFLINE, "tokencode", 0, end, message)
    assert days_left(world.held, world.server.now) == 0
    assert emergency_ends(world.held) == end
    assert outcome.session is not None
    assert outcome.decided_offline_since == 0.0
    event = at(world, kind="granted", method="tokencode", token=token, step=step, check=check)
    assert logged(world) == [event]
    assert world.held.tokens[0].last_used == step


def test_an_emergency_code_is_granted_with_its_version_and_end(world: World) -> None:
    outcome = offline(world, world.alice.passcode)
    answer = outcome.answer
    assert (answer.method, answer.emergency_expires) == ("emergency-passcode", world.alice.codes_end)
    assert "This emergency code works until" in answer.message
    event = at(world, kind="granted", method="emergency-passcode", version=1, check=world.held.check)
    assert logged(world) == [event]


def test_without_a_warning_due_the_answer_is_short(world: World) -> None:
    quiet = replace(world.held, policy=replace(world.held.policy, warn_days=-1))
    world.device.store.change(lambda state: state.with_user(quiet))
    assert offline(world, world.passcode()).answer.message == "Signed in offline."


def test_the_session_keeps_a_secret_and_opens_it(world: World) -> None:
    session = offline(world, world.passcode()).session
    assert session is not None
    session.keep("os-password", Secret(b"kept"))
    assert session.open("os-password").reveal() == b"kept"


def test_the_answer_counts_the_days_that_are_left(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    world.alice.days = 3
    world.signed_in_online()
    world.go_offline()
    answer = offline(world, world.passcode()).answer
    assert answer.days_left == days_left(world.held, world.server.now) > 0


@pytest.mark.parametrize("distance", [Distance.OFFLINE, Distance.SERVER_DOWN])
def test_server_down_off_refuses_only_where_there_is_a_network(world: World, distance: Distance) -> None:
    policy = replace(world.held.policy, server_down="off")
    world.device.store.change(lambda state: state.with_user(replace(world.held, policy=policy)))
    assert tried(world, world.alice.passcode).result is Result.GRANTED
    answer = login_offline(world.device, "alice", Secret(world.passcode()), distance).answer
    assert (answer.result is Result.GRANTED) is (distance is Distance.OFFLINE)


def test_refusals_are_logged_and_the_last_one_blocks(world: World) -> None:
    world.device.store.change(lambda state: state.with_user(replace(world.held, failures=1)))
    for count in (2, 3):
        answer = offline(world, world.alice.pin + "111111").answer
        assert (answer.result, answer.mode, answer.reason) == (
            Result.DENIED,
            Mode.OFFLINE,
            RefusalReason.WRONG_PASSCODE,
        )
        assert world.held.failures == count
    denied = at(world, kind="denied", reason="wrong-passcode")
    assert logged(world) == [denied, denied, at(world, kind="blocked")]
    offline(world, new_code(3))
    assert logged(world)[3:] == [denied]
    assert (world.held.failures, world.held.emergency_failures) == (3, 1)
    assert offline(world, world.passcode()).answer.reason is RefusalReason.EMERGENCY_CODE_NEEDED
    assert len(logged(world)) == 4


def test_a_refusal_names_the_device_and_its_codes(world: World) -> None:
    code = world.alice.passcode
    answer = offline(world, code[:4] + ("Y" if code[4] == "Z" else "Z") + code[5:]).answer
    assert answer.reason is RefusalReason.MISREAD
    assert codes_first(answer.message) >= codes_first(HELD)
    state = replace(world.device.state, enrolment=replace(world.device.state.enrolment, name="x"))
    assert device_sentence(state, a_user(a_day())) == "Device x holds no emergency code."
    user = a_user(an_emergency_unit(version=3), a_day(), an_emergency_unit(kind="emergency-tokencode", version=4))
    held = "Device x holds emergency passcode version 3, emergency tokencode version 4."
    assert device_sentence(state, user) == held


def test_a_user_without_data_is_refused(world: World) -> None:
    outcome = offline(world, world.passcode(), "mallory")
    assert (outcome.answer.result, outcome.answer.reason) == (Result.UNAVAILABLE, RefusalReason.NO_DATA)
    assert (outcome.answer.mode, outcome.session) == (Mode.OFFLINE, None)


def test_damaged_units_raise_an_alarm_and_count_no_failure(world: World) -> None:
    damaged(world, emergency=False)
    for _ in range(2):
        assert offline(world, world.passcode()).answer.reason is RefusalReason.DAMAGED
    assert logged(world) == [at(world, kind="store-damaged", reason="store-damaged")]
    assert world.held.failures == 0
    assert offline(world, world.alice.passcode).answer.result is Result.GRANTED


def test_a_wrong_clock_raises_an_alarm(world: World) -> None:
    world.clock.reboot()
    world.clock.wall -= 86400
    assert offline(world, world.passcode()).answer.reason is RefusalReason.CLOCK
    (event,) = logged(world)
    assert (event["kind"], event["reason"]) == ("clock-suspect", "clock")


@pytest.mark.parametrize("change", [{"check": "00" * 32}, {"login": "bob"}])
def test_a_unit_of_another_key_or_login_is_refused_and_counted(world: World, change: dict[str, Any]) -> None:
    world.device.store.change(lambda state: state.with_user(replace(state.get_user(world.alice.user), **change)))
    answer = offline(world, world.passcode(), change.get("login", "alice")).answer
    assert (answer.result, answer.reason) == (Result.UNAVAILABLE, RefusalReason.DAMAGED)
    assert world.held.failures == 1
    assert [event["kind"] for event in logged(world)] == ["denied", "store-damaged"]


def test_a_remote_user_gets_no_more_free_failures(world: World) -> None:
    failed = replace(world.held, emergency_failures=5)
    world.device.store.change(lambda state: state.with_user(failed))
    assert offline(world, world.alice.passcode, remote=True).answer.reason is RefusalReason.WAIT
    world.pass_time(1)
    outcome = login_offline(world.device, "alice", Secret(world.alice.passcode), Distance.OFFLINE)  # not remote
    assert outcome.answer.result is Result.GRANTED


def facts_of_tpm(forgives_after: int) -> TpmFacts:
    return TpmFacts("", "", "", 32, 32, forgives_after, in_lockout=True, lockout_password=True, owner_password=True)


def test_in_lockout_the_answer_names_the_recovery_time_of_the_tpm_if_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).failed = memory(world).most_tries
    keys = world.device.store.keys

    def message() -> str:
        answer = offline(world, world.passcode()).answer
        assert answer.reason is RefusalReason.PIN_LOCKOUT
        return answer.message

    def no_answer() -> TpmFacts:
        raise StoreUnreadable("no-tpm", "no TPM answers")

    assert "Wait, or use an emergency code" in message()  # nothing is known about keys in a file
    monkeypatch.setattr(keys, "facts", lambda: facts_of_tpm(7200))
    assert "Wait up to 120 minutes" in message()
    monkeypatch.setattr(keys, "facts", no_answer)
    assert "Wait, or use an emergency code" in message()


def test_a_success_with_the_pin_makes_the_lock_and_an_emergency_code_does_not(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    world.go_offline()
    assert offline(world, world.alice.passcode).answer.result is Result.GRANTED
    assert world.held.pin_locks == []
    assert offline(world, world.passcode()).answer.result is Result.GRANTED
    assert [lock.token for lock in world.held.pin_locks] == [world.held.tokens[0].token]


def test_an_opened_lock_erases_the_used_record_at_once(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    assert offline(world, world.passcode()).answer.result is Result.GRANTED
    used = world.held.tokens[0].last_used
    assert [day.erased_through for day in days(world) if day.first <= used <= day.last] == [used]


# The trial of an emergency code


def test_a_trial_takes_its_count_back_and_leaves_no_trace(world: World) -> None:
    world.device.store.change(lambda state: state.with_user(replace(world.held, emergency_failures=2, failures=1)))
    answer = tried(world, world.alice.passcode)
    message = "The emergency code works: without the network it would sign this user in. No sign-in took place."
    end = world.alice.codes_end
    expected = LoginAnswer(Result.GRANTED, Mode.OFFLINE, "emergency-passcode", 0, end, message)
    assert answer == expected
    assert (world.held.emergency_failures, world.held.failures) == (2, 1)
    assert logged(world) == []


def test_a_wrong_code_in_a_trial_counts_like_any(world: World) -> None:
    answer = tried(world, new_code(3))
    assert (answer.result, answer.mode, answer.reason) == (Result.DENIED, Mode.OFFLINE, RefusalReason.WRONG_PASSCODE)
    assert codes_first(answer.message) >= codes_first(HELD)
    assert world.held.emergency_failures == 1
    assert logged(world) == [at(world, kind="denied", reason="wrong-passcode")]


def test_a_trial_takes_no_tokencode(world: World) -> None:
    answer = tried(world, world.passcode())
    assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.WRONG_PASSCODE)
    assert world.held.failures == 0


def test_a_trial_without_data_or_without_a_login_is_refused(world: World) -> None:
    answer = tried(world, world.alice.passcode, "mallory")
    assert (answer.result, answer.mode, answer.reason) == (Result.UNAVAILABLE, Mode.OFFLINE, RefusalReason.NO_DATA)
    mapped = Names(MappingProxyType({"root": "alice"}), same=False)
    world.device = replace(world.device, names=mapped)
    answer = tried(world, world.alice.passcode)
    assert (answer.result, answer.mode, answer.reason) == (Result.DENIED, Mode.NONE, RefusalReason.NOT_MAPPED)
    assert tried(world, world.alice.passcode, "root").result is Result.GRANTED
