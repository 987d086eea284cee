"""Challenges of a server before it decides: the device passes challenge and answer on, and checks neither."""

from pathlib import Path

import pytest

from sparekey.agent.contact.contact import make_contact
from sparekey.agent.ground.outcome import LoginAnswer, Mode, Prompt, RefusalReason, Result
from sparekey.agent.ground.ports import Distance
from tests.agent.devices import World, a_world


def asked_for_a_new_pin(tmp_path: Path) -> tuple[World, LoginAnswer]:
    """Return a world in which Alice has offline data and the server will require another PIN, with the first answer."""
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.pin_must_change = True
    return world, world.login(world.passcode()).answer


def test_a_new_pin_is_asked_for_twice_and_then_she_is_in(tmp_path: Path) -> None:
    world, first = asked_for_a_new_pin(tmp_path)
    assert (first.result, first.ask, first.mode) == (Result.ASK, Prompt.NEW_PIN, Mode.ONLINE)
    assert first.message == "A PIN has 4 to 8 digits."
    again = world.login("135790", reply_to=first.reply_to).answer
    assert (again.result, again.ask) == (Result.ASK, Prompt.CONFIRM_PIN)
    assert again.reply_to != first.reply_to
    login = world.login("135790", reply_to=again.reply_to)
    assert (login.answer.result, login.answer.method) == (Result.GRANTED, "tokencode")
    assert login.session is not None


def test_the_last_answer_has_the_effects_of_any_success(tmp_path: Path) -> None:
    world, first = asked_for_a_new_pin(tmp_path)
    used = world.alice.token.last_step
    second = world.login("135790", reply_to=first.reply_to).answer
    world.login("135790", reply_to=second.reply_to)
    assert all(unit.erased_through >= used for unit in world.held.units if unit.kind == "day")
    make_contact(world.device)
    world.next_code()
    world.go_offline()
    assert world.login(world.passcode()).answer.mode is Mode.OFFLINE
    world.next_code()
    assert world.login(world.passcode(pin="2468")).answer.reason is RefusalReason.WRONG_PASSCODE


def test_the_next_tokencode_uses_up_both(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.next_code_wanted = True
    challenge = world.login(world.passcode()).answer
    assert (challenge.result, challenge.ask) == (Result.ASK, Prompt.NEXT_TOKENCODE)
    code = world.passcode(1, pin="")
    assert world.login(code, reply_to=challenge.reply_to).answer.result is Result.GRANTED
    world.go_offline()
    world.next_code()
    assert world.login(world.passcode()).answer.reason is RefusalReason.WRONG_PASSCODE  # its code was the answer
    world.next_code()
    assert world.login(world.passcode()).answer.result is Result.GRANTED


@pytest.mark.parametrize("distance", Distance)
def test_an_answer_is_never_tried_offline(tmp_path: Path, distance: Distance) -> None:
    world, first = asked_for_a_new_pin(tmp_path)
    world.next_code()
    world.go_offline(distance)
    before = world.held
    for typed in (world.passcode(), world.alice.pin + world.alice.tokencode, world.alice.passcode):
        login = world.login(typed, reply_to=first.reply_to)
        assert (login.answer.result, login.answer.reason) == (Result.UNAVAILABLE, RefusalReason.BROKEN_OFF)
        assert login.session is None
        assert "Start again" in login.answer.message
    assert world.held == before


@pytest.mark.parametrize("seconds", [0, 121])
def test_one_answer_in_time_counts(tmp_path: Path, seconds: int) -> None:
    world, first = asked_for_a_new_pin(tmp_path)
    world.pass_time(seconds)
    answers = [world.login("135790", reply_to=first.reply_to).answer for _ in range(2)]
    results = [answer.result for answer in answers]
    assert results == [Result.DENIED if seconds else Result.ASK, Result.DENIED]
    assert answers[1].reason is RefusalReason.ANSWER_REFUSED
    assert "Start again" in answers[1].message


def test_a_challenge_without_a_text_gets_the_device_s_text(tmp_path: Path) -> None:
    world, _ = asked_for_a_new_pin(tmp_path)
    world.next_code()
    world.server.challenge_text = ""
    answer = world.login(world.passcode()).answer
    assert (answer.result, answer.message) == (Result.ASK, "Choose a new PIN.")


def test_an_unknown_kind_of_challenge_is_a_refusal(tmp_path: Path) -> None:
    world, _ = asked_for_a_new_pin(tmp_path)
    world.next_code()
    world.server.challenge_kind = "favourite-colour"
    login = world.login(world.passcode())
    assert (login.answer.result, login.session) == (Result.DENIED, None)


def test_data_withheld_with_a_challenge_are_erased_before_it_is_shown(tmp_path: Path) -> None:
    world = a_world(tmp_path / "store").signed_in_online()
    world.alice.pin_must_change = True
    world.login(world.passcode())
    assert world.server.calls[-1] == "sync"
    world.go_offline()
    assert world.login(world.passcode()).answer.reason is RefusalReason.WRONG_PASSCODE  # its step is used at the server
