"""Moments as commands show them: whatever a file or a program gave for an end, a list is shown to its end."""

import pytest

from sparekey.cli.server import output
from tests.builders import NOW


@pytest.mark.parametrize("at", [-(2**53), -1, 253_402_214_401, 2**53 - 1])
def test_an_end_that_no_calendar_holds_is_shown(at: int) -> None:
    shown = output.rfc3339(at)
    assert shown == ("1970-01-01T00:00:00Z" if at < 0 else "9999-12-31T00:00:00Z")
    assert shown in output.local_and_utc(at)


def test_other_times_are_shown_unchanged() -> None:
    assert output.rfc3339(NOW) is not None
    assert output.rfc3339(None) is None
    assert output.rfc3339(253_402_214_399) == "9999-12-30T23:59:59Z"
