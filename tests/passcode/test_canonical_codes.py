"""Emergency codes: distribution, check characters, display and spelling."""

import hashlib
import inspect
import itertools
import secrets
from collections import Counter
from collections.abc import Callable

import pytest

from sparekey.passcode import (
    ALPHABET,
    NotCanonical,
    emergency_tokencode,
    grouped,
    misread_groups,
    misread_words,
    new_code,
    normalise,
    spelled,
    split,
    verify_canonical,
)
from tools.counts import Count

# Upper 1e-6 quantile of chi-square with 31 degrees of freedom (Wilson-Hilferty).
CHI_SQUARE_LIMIT = 84.2


def seeded_bits(seed: str) -> Callable[[int], int]:
    """A repeatable source in the place of `secrets.randbits`: SHAKE-128 in counter mode."""
    blocks = (hashlib.shake_128(f"{seed} {number}".encode()).digest(3000) for number in itertools.count())
    draws = (int.from_bytes(block[at : at + 3], "big") for block in blocks for at in range(0, 3000, 3))
    return lambda bits: next(draws) >> (24 - bits)


def test_s40_codes_come_from_the_operating_systems_generator() -> None:
    default = inspect.signature(new_code).parameters["random_bits"].default
    assert default is secrets.randbits
    assert len({new_code(3) for _ in range(1000)}) == 1000


def test_s40_passcodes_are_distinct_and_uniform(count: Count) -> None:
    number = count(small=10_000, full=1_000_000)
    random_bits = seeded_bits("passcodes")
    codes = [new_code(3, random_bits) for _ in range(number)]
    assert len(set(codes)) == number
    for place in range(15):
        seen = Counter(code[place] for code in codes)
        expected = number / 32
        assert sum((seen[symbol] - expected) ** 2 / expected for symbol in ALPHABET) < CHI_SQUARE_LIMIT


def test_s40_tokencodes_hardly_ever_repeat(count: Count) -> None:
    number = count(small=10_000, full=1_000_000)
    random_bits = seeded_bits("tokencodes")
    seen = Counter(new_code(2, random_bits) for _ in range(number))
    assert sum(times * (times - 1) // 2 for times in seen.values()) <= 6


def test_s40_every_misread_character_is_named(count: Count) -> None:
    random_bits = seeded_bits("misread")
    for _ in range(count(small=20, full=1000)):
        code = new_code(3, random_bits)
        for place, other in itertools.product(range(15), ALPHABET + "U"):
            if other != code[place]:
                assert misread_groups(code[:place] + other + code[place + 1 :]) == (place // 5 + 1,)


def test_s40_every_swap_in_a_group_is_named(count: Count) -> None:
    random_bits = seeded_bits("swaps")
    for _ in range(count(small=300, full=20_000)):
        code = new_code(3, random_bits)
        for group, (one, other) in itertools.product(range(3), itertools.combinations(range(5), 2)):
            swapped = list(code)
            first, second = 5 * group + one, 5 * group + other
            swapped[first], swapped[second] = swapped[second], swapped[first]
            expected = () if code[first] == code[second] else (group + 1,)
            assert misread_groups("".join(swapped)) == expected


def test_s40_swapped_groups_are_named(count: Count) -> None:
    random_bits = seeded_bits("groups")
    for _ in range(count(small=300, full=20_000)):
        code = new_code(3, random_bits)
        assert misread_groups(code[5:10] + code[:5] + code[10:]) == (1, 2)
        assert misread_groups(code[:5] + code[10:] + code[5:10]) == (2, 3)


def test_s40_a_misread_group_is_named_where_it_is_typed(count: Count) -> None:
    random_bits = seeded_bits("typed")
    for _ in range(count(small=300, full=20_000)):
        code = new_code(2, random_bits)
        place = random_bits(8) % 10
        wrong = ALPHABET[(ALPHABET.index(code[place]) + 1) % 32]
        typed = f"1234 {grouped(code[:place] + wrong + code[place + 1 :])}"
        assert split(typed, [emergency_tokencode(with_pin=True)]).misread == (place // 5 + 1,)


def test_s40_look_alikes_are_accepted_either_way() -> None:
    code = next(code for code in iter(lambda: new_code(3), "") if "0" in code and "1" in code)
    for zero, one in itertools.product("0Oo", "1IiLl"):
        assert normalise(grouped(code.replace("0", zero).replace("1", one)).lower()) == code


def test_the_letter_u_is_not_mapped() -> None:
    assert normalise("u") == "U"
    assert misread_groups("UUUUU") == (1,)


def test_misread_groups_are_named_in_a_sentence() -> None:
    assert [misread_words(groups) for groups in ((2,), (1, 2), (1, 2, 3))] == [
        "Group 2 of the code was misread",
        "Groups 1 and 2 of the code were misread",
        "Groups 1, 2 and 3 of the code were misread",
    ]
    assert misread_words((7, 8), "enrolment code") == "Groups 7 and 8 of the enrolment code were misread"


def test_groups_are_shown_with_dashes() -> None:
    assert grouped("7K3X1Q8M24") == "7K3X1-Q8M24"
    assert normalise(grouped("7K3X1Q8M24")) == "7K3X1Q8M24"


def test_spelling_words_begin_with_their_character() -> None:
    assert spelled("7K3X1Q8M24") == (
        ("Seven", "Kilo", "Three", "X-ray", "One"),
        ("Quebec", "Eight", "Mike", "Two", "Four"),
    )


@pytest.mark.parametrize(("code", "groups"), [("7K3X2Q8M24", (1,)), ("7K3X1", ()), ("", ())])
def test_text_that_is_not_canonical_is_refused(code: str, groups: tuple[int, ...]) -> None:
    with pytest.raises(NotCanonical) as refusal:
        verify_canonical(code, groups=2)
    assert refusal.value.groups == groups


def test_a_new_code_is_canonical() -> None:
    for groups in (2, 3):
        verify_canonical(new_code(groups), groups)
