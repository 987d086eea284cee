"""S48: the table of acts, and the decision about an approval, without a database."""

import dataclasses

import pytest

from sparekey.core.audit_log.actions import Action
from sparekey.core.emergency.acts import (
    ACTS,
    COUNTED_SECONDS,
    HARMLESS,
    MOST_UNLOCKS,
    AskedAct,
    Factor,
    HeldFactors,
    Lasts,
    OperatorAct,
    TokenOfAct,
    needs_second_person,
)
from sparekey.core.emergency.held_factors import BY_THE_USER, LoggedEvent, OwnedToken, UserNow, held_by
from sparekey.core.emergency.two_people import may_be_same_person
from sparekey.durations import DAY_SECONDS
from sparekey.json_value import Json

NOW = 1_800_000_000
LONG_AGO = NOW - 30 * DAY_SECONDS
ANNA, USER = "user:anna", "u"
WITH_PIN = TokenOfAct("t", with_pin=True, pin_set=True)
HERS = UserNow(USER, (OwnedToken("t", with_pin=True),), signed_in=True)


def event(
    action: Action,
    at: int = LONG_AGO,
    actor: str = ANNA,
    token: str | None = "t",
    user: str | None = USER,
    **more: Json,
) -> LoggedEvent:
    return LoggedEvent(at, actor, action, user, token, {"serial": "S-t", **more})


def held(*events: LoggedEvent, user: UserNow = HERS, operator: str = ANNA) -> HeldFactors:
    return held_by(operator, events, user, NOW)


def test_s48_every_act_has_a_line() -> None:
    assert ACTS.keys() == set(OperatorAct)
    assert not {name for rule in ACTS.values() for name in rule.use_cases} & HARMLESS.keys()


@pytest.mark.parametrize("kind", OperatorAct)
@pytest.mark.parametrize("has", [Factor.NONE, Factor.PIN, Factor.CODE, Factor.BOTH])
def test_s48_an_act_that_completes_both_factors_needs_a_second_person(kind: OperatorAct, has: Factor) -> None:
    together = ACTS[kind].gives | has
    needed = together is Factor.BOTH and kind is not OperatorAct.USER_UNLOCKED
    assert needs_second_person(AskedAct(kind, (WITH_PIN,)), HeldFactors(has)) is needed


def test_s48_a_code_for_a_token_without_a_pin_is_both() -> None:
    for token in (TokenOfAct("t", with_pin=False, pin_set=False), TokenOfAct("t", with_pin=True, pin_set=False)):
        assert needs_second_person(AskedAct(OperatorAct.TEMPORARY_ACCESS, (token,)), HeldFactors())
        assert not needs_second_person(AskedAct(OperatorAct.PIN_SET, (token,)), HeldFactors())


def test_s48_who_gave_everything_to_a_new_user_replaces_nothing() -> None:
    new = HeldFactors(Factor.BOTH, untouched=True)
    for kind in (OperatorAct.TOKEN_ADDED, OperatorAct.PIN_SET):
        assert not needs_second_person(AskedAct(kind, (TokenOfAct("t", with_pin=True, pin_set=False),)), new)
    a_second_token = AskedAct(OperatorAct.TOKEN_ADDED, (TokenOfAct("", with_pin=True, pin_set=False),), others=1)
    assert needs_second_person(a_second_token, new)


def test_s48_the_first_pin_of_a_token_belongs_to_the_approval_of_the_token() -> None:
    mine = HeldFactors(Factor.BOTH, handed_over=frozenset("t"))
    fresh = TokenOfAct("t", with_pin=True, pin_set=False)
    assert not needs_second_person(AskedAct(OperatorAct.PIN_SET, (fresh,)), mine)
    for other in (
        dataclasses.replace(fresh, pin_set=True),
        dataclasses.replace(fresh, token_id="another"),
        dataclasses.replace(fresh, ready=False),
    ):
        assert needs_second_person(AskedAct(OperatorAct.PIN_SET, (other,)), mine)


@pytest.mark.parametrize("factor", [Factor.PIN, Factor.CODE])
def test_s48_many_attempts_count_as_the_missing_factor(factor: Factor) -> None:
    unlock = AskedAct(OperatorAct.USER_UNLOCKED)
    assert not needs_second_person(unlock, HeldFactors(factor, unlocks=MOST_UNLOCKS - 1))
    assert needs_second_person(unlock, HeldFactors(factor, unlocks=MOST_UNLOCKS))
    assert not needs_second_person(unlock, HeldFactors(unlocks=100))
    assert not needs_second_person(AskedAct(OperatorAct.PIN_SET, (WITH_PIN,)), HeldFactors(unlocks=MOST_UNLOCKS))
    assert needs_second_person(AskedAct(OperatorAct.PIN_SET, (WITH_PIN,)), HeldFactors(unlocks=MOST_UNLOCKS + 1))


GIVEN = {
    Action.TOKEN_PIN_SET: Factor.PIN,
    Action.TOKEN_PIN_CLEARED: Factor.PIN,
    Action.TOKEN_ADDED: Factor.BOTH,
    Action.TOKEN_ASSIGNED: Factor.BOTH,
    Action.TOKEN_REPLACED: Factor.CODE,
    Action.TOKEN_ENABLED: Factor.CODE,
    Action.TOKEN_FOUND: Factor.CODE,
    Action.EMERGENCY_SHOWN: Factor.CODE,
    Action.EMERGENCY_TEMPORARY: Factor.CODE,
    Action.USER_ENABLED: Factor.CODE,
    Action.ADMIN_LINK_MADE: Factor.BOTH,
    Action.ACCOUNT_UNLOCKED: Factor.NONE,
}


@pytest.mark.parametrize("action", GIVEN)
def test_s48_each_act_counts_for_a_day(action: Action) -> None:
    gone = UserNow(USER, (), signed_in=True)  # nothing that it gave works any more
    for actor, factors in ((ANNA, GIVEN[action]), ("user:bert", Factor.NONE), ("client:c", GIVEN[action])):
        assert held(event(action, NOW - COUNTED_SECONDS + 1, actor), user=gone).factors is factors
        assert held(event(action, NOW - COUNTED_SECONDS, actor), user=gone).factors is Factor.NONE


def test_s48_a_pin_works_until_its_user_has_chosen_another() -> None:
    mine = event(Action.TOKEN_PIN_SET)
    assert held(mine).factors is Factor.PIN
    for by_user in (
        event(Action.TOKEN_PIN_SET, LONG_AGO + 1, "device:d", by=BY_THE_USER),
        event(Action.TOKEN_PIN_SET, LONG_AGO + 1, f"user:{USER}"),
        event(Action.TOKEN_PIN_SET, LONG_AGO + 1, "user:bert"),
    ):
        assert held(mine, by_user).factors is Factor.NONE


def test_s48_an_old_pin_works_on_a_device_that_has_data_from_before() -> None:
    events = event(Action.TOKEN_PIN_SET), event(Action.TOKEN_PIN_SET, LONG_AGO + 9, f"user:{USER}")
    for sealed_at, factors in ((LONG_AGO + 8, Factor.PIN), (LONG_AGO + 9, Factor.NONE)):
        assert held(*events, user=dataclasses.replace(HERS, sealed_since={"t": sealed_at})).factors is factors


def test_s48_a_pin_moves_with_a_replacement() -> None:
    mine = event(Action.TOKEN_PIN_SET)
    other = UserNow(USER, (OwnedToken("t2", with_pin=True),), signed_in=True)
    for kept, factors in ((True, Factor.PIN), (False, Factor.NONE)):
        replaced = event(Action.TOKEN_REPLACED, actor="user:bert", by="S-t2", pin_kept=kept)
        assigned = event(Action.TOKEN_ASSIGNED, actor="user:bert", token="t2", serial="S-t2")
        assert held(mine, replaced, assigned, user=other).factors is factors
    # an operator who replaces a token knows its codes; its PIN is that of the user
    by_anna = (
        event(Action.TOKEN_REPLACED, by="S-t2", pin_kept=True),
        event(Action.TOKEN_ASSIGNED, token="t2", serial="S-t2"),
    )
    assert held(*by_anna, user=other).factors is Factor.CODE


def test_s48_who_handed_over_a_token_may_know_its_codes() -> None:
    mine = event(Action.TOKEN_ADDED)
    hers = event(Action.TOKEN_PIN_SET, LONG_AGO + 1, f"user:{USER}")
    assert held(mine).factors is Factor.BOTH  # the code alone leads to the choice of a PIN
    assert held(mine, hers).factors is Factor.CODE
    assert held(mine, hers).handed_over == {"t"}
    imported = event(Action.TOKEN_ADDED, user=None, imported=True)
    to_her = event(Action.TOKEN_ASSIGNED, LONG_AGO + 1, "user:bert")
    assert held(imported, to_her).factors is Factor.CODE
    assert held(event(Action.TOKEN_ASSIGNED, user="another"), to_her).factors is Factor.CODE
    without = dataclasses.replace(HERS, tokens=(OwnedToken("t", with_pin=False),))
    assert held(imported, to_her, user=without).factors is Factor.BOTH
    assert held(mine, hers, user=UserNow(USER, (), signed_in=True)).factors is Factor.NONE
    assert held(mine, hers, user=UserNow(USER, (), signed_in=True, sealed_since={"t": NOW})).factors is Factor.CODE


def test_s48_codes_work_until_they_end() -> None:
    shown = event(Action.EMERGENCY_SHOWN, kind="tokencode", version=3)
    for ends, factors in ((NOW + 1, Factor.CODE), (NOW, Factor.NONE)):
        assert held(shown, user=dataclasses.replace(HERS, codes={("t", 3): ends})).factors is factors
    assert held(shown, user=dataclasses.replace(HERS, codes={("t", 4): NOW + 1})).factors is Factor.NONE
    of_another = event(Action.EMERGENCY_SHOWN, user="another", kind="tokencode", version=3)
    assert held(of_another, user=dataclasses.replace(HERS, codes={("t", 3): NOW + 1})).factors is Factor.NONE
    for giver, factors in ((ANNA, Factor.CODE), ("user:bert", Factor.NONE), (f"user:{USER}", Factor.NONE)):
        given = dataclasses.replace(HERS, tokens=(OwnedToken("t", with_pin=True, access_by=giver),))
        assert held(event(Action.EMERGENCY_TEMPORARY), user=given).factors is factors


def test_s48_a_passcode_needs_its_own_approval_and_combines_with_nothing() -> None:
    assert ACTS[OperatorAct.PASSCODE_SHOWN].lasts is Lasts.ALONE
    shown = event(Action.EMERGENCY_SHOWN, NOW, kind="passcode", version=1, token=None)
    assert held(shown).factors is Factor.NONE


@pytest.mark.parametrize("action", [Action.USER_CHANGED, Action.TOKEN_EXPIRY_SET])
def test_s48_a_change_of_the_expiry_counts_if_it_had_expired(action: Action) -> None:
    assert held(event(action, NOW, prolonged=False)).factors is Factor.NONE
    assert held(event(action, NOW, prolonged=True)).factors is Factor.CODE


def test_s48_a_user_is_untouched_until_somebody_else_gives_a_factor_or_they_sign_in() -> None:
    new = dataclasses.replace(HERS, signed_in=False)
    mine = event(Action.TOKEN_ADDED), event(Action.TOKEN_PIN_SET)
    assert held(user=new).untouched
    assert held(*mine, user=new).untouched
    assert not held(*mine, user=HERS).untouched
    assert not held(*mine, event(Action.TOKEN_PIN_SET, actor="user:bert"), user=new).untouched
    assert held(*mine, event(Action.USER_ENABLED, actor="user:bert"), user=new).untouched


def test_s48_names_count_as_people() -> None:
    assert may_be_same_person("os:a", "os:b")
    assert may_be_same_person("client:c", ANNA)
    assert may_be_same_person(ANNA, "client:c")
    for other in ("user:bert", "os:a", "device:d", "self:::1", "link:5"):
        assert not may_be_same_person(ANNA, other)


def test_s48_the_newest_act_of_each_kind_is_named() -> None:
    found = held(
        event(Action.TOKEN_PIN_SET, NOW - 5), event(Action.TOKEN_ENABLED, NOW - 3), event(Action.TOKEN_PIN_SET, NOW - 2)
    )
    assert [(cause.kind, cause.at) for cause in found.causes] == [
        (OperatorAct.TOKEN_ENABLED, NOW - 3),
        (OperatorAct.PIN_SET, NOW - 2),
    ]
