"""The PIN lock over the life of a device: made, used, dropped, made again; and failures to open it."""

from dataclasses import replace
from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import Mode, Prompt, RefusalReason, Result
from sparekey.agent.sign_in.offline import try_emergency
from sparekey.agent.store.pin_lock import is_locked
from sparekey.agent.store.status import status_of
from sparekey.core.offline.units import Protection
from sparekey.secret import Secret
from tests.agent.devices import World, a_world
from tests.agent.pin_locks import (
    LOCKING,
    MemoryPinLocks,
    a_locked_world,
    a_locking_world,
    change_pin_elsewhere,
    contact_online,
    days,
    memory,
    reopened,
    with_locks,
)
from tests.agent.simulator import POLICY, SimulatedToken


def granted(world: World, typed: str | None = None) -> Mode:
    """Return the mode that granted, and move the token to its next code."""
    answer = world.login(world.passcode() if typed is None else typed).answer
    assert answer.result == Result.GRANTED, answer
    world.next_code()
    return answer.mode


def lock_words(world: World) -> str:
    return str(status_of(world.device)["users"][0]["pin_lock"]["state"])


def all_locked(world: World) -> bool:
    return bool(days(world)) and all(is_locked(day) for day in days(world))


def keys_in_the_open(world: World) -> set[str]:
    return {piece.key for day in days(world) for piece in day.pieces[1:] if piece.key}


def test_a_lock_is_made_at_the_first_offline_sign_in_and_used_at_the_next(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    world.go_offline()
    assert (lock_words(world), memory(world).shown) == ("at-next-sign-in", 0)
    assert granted(world) is Mode.OFFLINE
    assert all_locked(world)
    assert (lock_words(world), memory(world).shown) == ("locked", 0)
    for shown in (1, 2):
        assert granted(world) is Mode.OFFLINE
        assert memory(world).shown == shown
    world = reopened(world)
    assert granted(world) is Mode.OFFLINE
    assert memory(world).failed == 0


def test_status_reads_the_tpm_once_a_minute_for_users_other_than_root(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    for _ in range(10):
        assert status_of(world.device, "alice")["users"][0]["pin_lock"]["state"] == "at-next-sign-in"
    assert memory(world).counted == 1
    assert status_of(world.device)["users"][0]["pin_lock"]["state"] == "at-next-sign-in"
    assert memory(world).counted > 1


def test_a_lock_is_made_at_an_online_sign_in_too(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    assert granted(world) is Mode.ONLINE
    assert all_locked(world)
    assert granted(world) is Mode.ONLINE
    world.go_offline()
    assert granted(world) is Mode.OFFLINE
    assert memory(world).failed == 0


def test_a_lock_is_made_by_an_emergency_tokencode_which_proves_the_pin(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    world.go_offline()
    granted(world, world.alice.pin + world.alice.tokencode)
    assert all_locked(world)
    assert granted(world) is Mode.OFFLINE


def test_an_emergency_passcode_shows_no_pin(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    world.go_offline()
    granted(world, world.alice.passcode)
    assert not world.held.pin_locks
    assert lock_words(world) == "at-next-sign-in"


def test_locking_replaces_open_keys_and_files(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    world.go_offline()
    files, before = {day.file for day in days(world)}, keys_in_the_open(world)
    granted(world)
    assert before
    assert not keys_in_the_open(world)
    assert files.isdisjoint(path.name for path in (world.directory / "units").iterdir())


@pytest.mark.parametrize("pin", ["", "2468"])
def test_tokens_without_a_pin_and_policies_without_the_lock_have_none(tmp_path: Path, pin: str) -> None:
    world = with_locks(a_world(tmp_path / "store", pin=pin), MemoryPinLocks())
    world.alice.policy = POLICY if pin else LOCKING
    world.signed_in_online()
    granted(world)
    world.go_offline()
    granted(world)
    assert (world.held.pin_locks, memory(world).shown) == ([], 0)
    assert lock_words(world) == ("policy-off" if pin else "nothing-to-lock")


def test_events_are_locked(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store", token=SimulatedToken("token-alice", interval=0))
    assert granted(world) is Mode.OFFLINE
    assert world.login(world.passcode(pin="1357")).answer.reason is RefusalReason.WRONG_PASSCODE
    assert memory(world).failed == 1
    assert granted(world) is Mode.OFFLINE


def test_no_tpm(tmp_path: Path) -> None:
    world = a_locking_world(tmp_path / "store")
    with_locks(world, None)
    world.go_offline()
    granted(world)
    assert (world.held.pin_locks, lock_words(world)) == ([], "no-tpm")


@pytest.mark.parametrize(
    ("tries", "settable", "made"), [(5, False, True), (4, False, False), (4, True, True), (0, False, False)]
)
def test_the_lock_allows_the_policy_s_failures_and_two_more(
    tmp_path: Path, tries: int, settable: bool, made: bool
) -> None:
    world = a_locking_world(tmp_path / "store", MemoryPinLocks(tries, settable))
    world.go_offline()
    granted(world)
    assert bool(world.held.pin_locks) is made
    assert lock_words(world) == ("locked" if made else "too-few-tries")


def test_a_lock_goes_when_the_tpm_comes_to_take_fewer_tries(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).most_tries, memory(world).settable = 4, False
    granted(world)
    assert (world.held.pin_locks, lock_words(world)) == ([], "too-few-tries")
    assert granted(world) is Mode.OFFLINE


@pytest.mark.parametrize("where", ["online", "offline"])
def test_a_policy_switch_removes_and_restores_the_lock_at_sign_in(tmp_path: Path, where: str) -> None:
    world = a_locked_world(tmp_path / "store")
    world.alice.policy = POLICY
    contact_online(world)
    assert all_locked(world)
    if where == "offline":
        world.go_offline()
    granted(world)
    assert world.held.pin_locks == []
    assert not any(is_locked(day) for day in days(world))
    world.go_offline()
    shown = memory(world).shown
    granted(world)
    assert memory(world).shown == shown
    world.alice.policy = LOCKING
    contact_online(world)
    world.go_offline()
    granted(world)
    assert all_locked(world)
    assert granted(world) is Mode.OFFLINE


def test_a_contact_works_while_the_lock_is_closed(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    world.alice.days = 2
    world = reopened(world)
    contact_online(world)
    assert len(days(world)) == 3
    assert all_locked(world)
    assert memory(world).shown == 0
    world.go_offline()
    assert granted(world) is Mode.OFFLINE


def test_days_that_ran_out_are_locked_again_when_new_ones_come(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    world.pass_time(3 * 86400)
    world.device.store.change(lambda state: state)
    assert days(world) == []
    contact_online(world)
    assert all_locked(world)
    world.go_offline()
    assert granted(world) is Mode.OFFLINE


def test_a_generation_with_the_same_pin_keeps_the_lock(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    lock = world.held.pin_locks
    world.alice.renew()
    contact_online(world)
    assert (world.held.generation, world.held.pin_locks) == (2, lock)
    assert all_locked(world)
    world.go_offline()
    assert granted(world) is Mode.OFFLINE


def test_a_wrong_pin_is_counted_by_device_and_tpm_and_gets_the_words_of_a_wrong_code(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    right = world.passcode()
    wrong_pin = world.login("1357" + right[4:]).answer
    assert (world.held.failures, memory(world).failed) == (1, 1)
    wrong_code = world.login(right[:4] + f"{(int(right[4:]) + 500) % 10**6:06}").answer
    assert (world.held.failures, memory(world).failed) == (2, 1)
    assert wrong_pin == wrong_code
    assert granted(world, right) is Mode.OFFLINE
    assert world.held.failures == 0


def test_a_pin_that_was_changed_elsewhere_and_heard_of_costs_no_try(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    shown = memory(world).shown
    change_pin_elsewhere(world, "9876")
    contact_online(world)
    assert (world.held.generation, world.held.pin_locks) == (2, [])
    world.go_offline()
    granted(world)
    assert (memory(world).shown, memory(world).failed) == (shown, 0)
    assert all_locked(world)
    assert granted(world) is Mode.OFFLINE
    assert memory(world).failed == 0


def test_a_pin_that_was_changed_elsewhere_is_first_typed_online(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    shown, old_pin = memory(world).shown, world.alice.pin
    change_pin_elsewhere(world, "9876")
    world.go_online()
    assert granted(world) is Mode.ONLINE
    assert memory(world).shown == shown
    assert world.held.staged_generation == 2
    # The new days are not here yet: the old lock and the old days stand.
    assert [lock.pin_salt for lock in world.held.pin_locks] == [days(world)[0].pin_salt]
    contact_online(world)
    assert (world.held.generation, world.held.pin_locks) == (2, [])
    world.go_offline()
    assert world.login(world.passcode(pin=old_pin)).answer.result == Result.DENIED
    assert granted(world) is Mode.OFFLINE
    assert all_locked(world)


def test_until_the_new_days_are_here_the_old_pin_opens_the_old_ones(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    old_pin = world.alice.pin
    change_pin_elsewhere(world, "9876")
    world.server.seals_nonsense = True
    contact_online(world)
    world.go_offline()
    assert granted(world, world.passcode(pin=old_pin)) is Mode.OFFLINE
    assert memory(world).failed == 0


def test_a_new_pin_that_is_set_on_the_device(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    shown = memory(world).shown
    world.go_online()
    world.alice.pin_must_change = True
    first = world.login(world.passcode()).answer
    assert first.ask is Prompt.NEW_PIN
    second = world.login("9876", reply_to=first.reply_to).answer
    assert world.login("9876", reply_to=second.reply_to).answer.result == Result.GRANTED
    assert memory(world).shown == shown
    make_contact(world.device)
    world.next_code()
    world.go_offline()
    assert world.held.pin_locks == []
    assert granted(world) is Mode.OFFLINE
    assert all_locked(world)


def test_an_online_sign_in_whose_answer_to_a_challenge_was_lost_opens_the_lock_and_makes_none(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    world.go_online()
    world.server.cut_at = "sync"
    assert granted(world) is Mode.ONLINE
    assert granted(world) is Mode.OFFLINE
    fresh = a_locking_world(tmp_path / "other")
    fresh.server.cut_at = "sync"
    assert granted(fresh) is Mode.ONLINE
    assert fresh.held.pin_locks == []


def test_in_lockout_the_message_says_what_helps_and_nothing_is_counted(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).failed = memory(world).most_tries
    for _ in range(world.held.policy.offline_failures + 1):
        answer = world.login(world.passcode()).answer
        assert (answer.result, answer.reason) == (Result.DENIED, RefusalReason.PIN_LOCKOUT)
        assert "Wait, or use an emergency code" in answer.message
    assert (world.held.failures, world.device.state.events[1:]) == (0, [])
    memory(world).forget_one()
    assert granted(world) is Mode.OFFLINE


def test_in_lockout_an_online_sign_in_drops_the_piece_and_the_contact_restores_it(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    memory(world).failed = memory(world).most_tries
    world.go_online()
    assert granted(world) is Mode.ONLINE
    assert {day.day for day in days(world)} == {world.server.now // 86400 + 1}
    make_contact(world.device)
    assert {day.day for day in days(world)} == {world.server.now // 86400, world.server.now // 86400 + 1}
    assert all_locked(world)
    memory(world).forget_one()
    world.go_offline()
    assert granted(world) is Mode.OFFLINE


@pytest.mark.parametrize("how", ["cleared", "of another PIN"])
def test_a_lock_that_the_right_pin_does_not_open_is_removed_and_the_contact_restores_its_data(
    tmp_path: Path, how: str
) -> None:
    world = a_locked_world(tmp_path / "store")
    if how == "cleared":
        memory(world).clear()
        assert world.login(world.passcode()).answer.reason is RefusalReason.DAMAGED
        assert world.held.failures == 0
        world.next_code()
    else:
        other = replace(world.held.pin_locks[0], lock_salt="00" * 16)
        world.device.store.change(lambda state: state.with_user(replace(world.held, pin_locks=[other])))
    world.go_online()
    assert granted(world) is Mode.ONLINE
    assert (world.held.pin_locks == []) or all_locked(world)
    make_contact(world.device)
    assert granted(world) is Mode.ONLINE
    assert all_locked(world)
    world.go_offline()
    assert granted(world) is Mode.OFFLINE


@pytest.mark.parametrize("network", ["there", "gone"])
def test_a_tpm_that_does_not_answer_grants_nothing_and_loses_nothing(tmp_path: Path, network: str) -> None:
    world = a_locked_world(tmp_path / "store")
    before = [day.unit_hash for day in days(world)]
    memory(world).answers = False
    if network == "there":
        world.go_online()
    assert world.login(world.passcode()).answer.result != Result.GRANTED
    memory(world).answers = True
    assert [day.unit_hash for day in days(world)] == before
    world.go_offline()
    world.next_code()
    assert granted(world) is Mode.OFFLINE


def test_a_trial_of_the_emergency_path_tries_no_lock(tmp_path: Path) -> None:
    world = a_locked_world(tmp_path / "store")
    shown = memory(world).shown
    answer = try_emergency(world.device, "alice", Secret(world.alice.passcode))
    assert (answer.result, memory(world).shown) == (Result.GRANTED, shown)


def test_the_server_learns_the_protection_of_the_data(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store")
    world.alice.policy = LOCKING
    world.signed_in_online()
    with_locks(world, MemoryPinLocks())
    make_contact(world.device)
    granted(world)
    make_contact(world.device)
    heard = dict.fromkeys(world.server.protections)
    assert list(heard) == [Protection.FILE, Protection.TPM, Protection.TPM_PIN_LOCK] == [*Protection]
