"""The cost of breaking a stolen laptop: the figures of spec/offline-day.md, and the weakest secret that a policy
allows."""

import pytest

from sparekey.core.policy.attack_cost import (
    EMERGENCY_GUESSES_PER_SECOND,
    GUESSES_PER_SECOND,
    Attack,
    in_money,
    pins_of,
    stolen_laptop,
)
from sparekey.core.policy.offline import OfflinePolicy, ProtectionLevel
from sparekey.core.policy.sealing_work import SECONDS_PER_CODE, Load, codes_seconds, days_seconds
from sparekey.core.policy.token import PinCharacters, TokenPolicy
from sparekey.sealed import EMERGENCY, LEVELS
from sparekey.sealed.levels import LIGHT, Level

# level: PIN known, random 4-digit PIN + 6 digits, random 6-digit PIN + 6 digits (spec/offline-day.md, 2.7)
TABLE = {"light": (0.13, 1_300, 130_000), "balanced": (1, 10_400, 1.0e6), "strong": (1.6, 15_500, 1.6e6)}


def weakest(policy: OfflinePolicy, tokens: TokenPolicy = TokenPolicy()) -> Attack:
    found = stolen_laptop(policy, tokens).weakest
    assert found is not None
    return found


def policy(level: str = "balanced", **values: object) -> OfflinePolicy:
    return OfflinePolicy.of({"protection_level": level, **values})


@pytest.mark.parametrize("level", TABLE)
def test_the_costs_are_those_of_the_specification(level: str) -> None:
    known, four, six = TABLE[level]
    assert stolen_laptop(policy(level), TokenPolicy()).others[0].usd == pytest.approx(known, rel=0.06)
    assert weakest(policy(level)).usd == pytest.approx(four, rel=0.06)
    assert weakest(policy(level), TokenPolicy(pin_minimum=6)).usd == pytest.approx(six, rel=0.06)


def test_the_rates_follow_from_memory_traffic() -> None:
    def traffic(level: Level) -> int:
        return level.argon_m * (3 * level.argon_t - 1) * level.hashes_per_guess

    scale = GUESSES_PER_SECOND[ProtectionLevel.LIGHT] * traffic(LIGHT)
    for name, level in LEVELS.items():
        assert GUESSES_PER_SECOND[ProtectionLevel(name)] == pytest.approx(scale / traffic(level), rel=0.02)
    assert pytest.approx(scale / traffic(EMERGENCY), rel=0.02) == EMERGENCY_GUESSES_PER_SECOND


def test_longer_codes_do_not_help_where_the_pin_may_be_as_short() -> None:
    assert weakest(policy(minimum_passcode_length=12)).what == "a PIN of 6 digits and a 6-digit tokencode"
    assert weakest(policy(minimum_passcode_length=8)).what == "a PIN of 4 digits and a 6-digit tokencode"
    assert weakest(policy(minimum_passcode_length=12)).usd == pytest.approx(100 * weakest(policy()).usd, rel=0.01)


def test_a_minimum_that_no_pin_reaches_leaves_nothing_to_break() -> None:
    found = stolen_laptop(policy(minimum_passcode_length=16), TokenPolicy(pin_maximum=6))
    assert found.weakest is None
    assert [attack.what for attack in found.others] == ["an offline emergency tokencode"]
    assert stolen_laptop(policy(enabled=False), TokenPolicy()).weakest is None


def test_letters_count_only_where_they_have_to_be_there() -> None:
    assert pins_of(4, PinCharacters.ANY) == pins_of(4, PinCharacters.DIGITS) == 10_000
    assert pins_of(4, PinCharacters.BOTH) == 62**4 - 52**4 - 10**4
    both = TokenPolicy(pin_characters=PinCharacters.BOTH)
    assert weakest(policy(), both).what == "a PIN of 4 letters and digits and a 6-digit tokencode"


def test_a_token_without_a_pin_is_the_weakest_of_all() -> None:
    found = weakest(policy(allow_tokens_without_pin=True))
    assert found.what == "a token without a PIN and 8-digit codes"
    assert (found.money, found.time) == ("100 USD", "11 days")


def test_behind_a_tpm_the_pin_is_guessed_first_and_then_one_code() -> None:
    found = stolen_laptop(policy(require_hardware_store=True), TokenPolicy())
    assert found.behind_tpm
    assert found.weakest is not None
    assert found.weakest.usd == pytest.approx(1, rel=0.06)
    unlocked = stolen_laptop(policy(require_hardware_store=True, pin_lock=False), TokenPolicy())
    assert unlocked.behind_tpm
    assert unlocked.weakest == stolen_laptop(policy(), TokenPolicy()).weakest


def test_a_stronger_level_never_costs_less() -> None:
    costs = [stolen_laptop(policy(), TokenPolicy(), level).weakest for level in ProtectionLevel]
    assert [cost.money for cost in costs if cost] == ["1,300 USD", "10,000 USD", "15,000 USD"]


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (0.001, "less than 0.01 USD"),
        (0.1307, "0.13 USD"),
        (1.048, "1 USD"),
        (1.54, "1.5 USD"),
        (104.8, "100 USD"),
        (130_719, "130,000 USD"),
        (999_999, "1 million USD"),
        (1_048_000, "1 million USD"),
        (1.54e6, "1.5 million USD"),
        (3.1e9, "3.1 billion USD"),
        (4.2e13, "42 trillion USD"),
        (1e18, "more than 1,000 trillion USD"),
    ],
)
def test_amounts_are_rounded_to_their_precision(usd: float, words: str) -> None:
    assert in_money(usd) == words


def test_work_grows_with_days_and_level() -> None:
    load = Load(holders=10, records_a_day=10 * 1440, packs=0)
    assert days_seconds(load, policy("balanced", days=14)) == pytest.approx(10 * 1440 * 14 * 0.0029)
    assert days_seconds(load, policy("strong", days=14)) == pytest.approx(5 * days_seconds(load, policy(days=14)))
    assert codes_seconds(load, policy()) == pytest.approx(20 * SECONDS_PER_CODE)
    assert codes_seconds(load, policy(emergency_passcode=False)) == pytest.approx(10 * SECONDS_PER_CODE)
