"""A device's report about itself: the allowed texts, and the parts that the server takes."""

import pytest

from sparekey.core.errors import BadInput
from sparekey.core.offline.self_report import LONGEST_EXEMPT, MOST_EXEMPT, PROTECTIONS, SHORT, SelfReport, read_report
from sparekey.core.offline.units import Protection


@pytest.mark.parametrize(
    ("protection", "hardware_bound", "taken"),
    [
        ("file", False, "file"),
        ("tpm", True, "tpm"),
        ("tpm-pin-lock", True, "tpm-pin-lock"),
        ("", False, ""),  # an older agent
        ("", True, ""),
        ("enclave", True, ""),  # a newer one
        ("tpm", False, ""),  # yes and no
        ("tpm-pin-lock", False, ""),
        ("file", True, ""),
    ],
)
def test_an_unknown_protection_is_dropped_completely(protection: str, taken: str, *, hardware_bound: bool) -> None:
    assert read_report(protection, [], hardware_bound=hardware_bound) == SelfReport(hardware_bound, taken)


def test_names_are_sorted_and_stand_once() -> None:
    assert read_report("", ["root", "backup", "root"], hardware_bound=False).exempt == ("backup", "root")


@pytest.mark.parametrize(
    "names",
    [
        [""],
        ["x" * (LONGEST_EXEMPT + 1)],
        ["\u00f6" * (LONGEST_EXEMPT // 2 + 1)],
        ["a\nb"],
        ["\x1b[2J"],
        ["\u202eroot"],
        [f"account-{number}" for number in range(MOST_EXEMPT + 1)],
    ],
)
def test_an_invalid_list_of_names_is_refused(names: list[str]) -> None:
    with pytest.raises(BadInput):
        read_report("", names, hardware_bound=False)


def test_every_word_has_words() -> None:
    assert set(PROTECTIONS) == set(SHORT) == {"", *Protection}
