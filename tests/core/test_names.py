"""Names: valid names of users, tokens and other objects."""

import pytest

from sparekey.core.errors import BadInput
from sparekey.core.names import is_login, verify_login, verify_name, verify_serial


@pytest.mark.parametrize("login", ["alice", "a", "_svc", "DOM\\alice", "alice@example.org", "pc-7$", "a" * 128])
def test_login_names(login: str) -> None:
    verify_login(login)
    assert is_login(login)


@pytest.mark.parametrize("login", ["", "a" * 129, "-x", "a b", "a\n", "älice", "a\x00", "a/b", "a:b", "a'b"])
def test_invalid_login_names(login: str) -> None:
    assert not is_login(login)
    with pytest.raises(BadInput) as refused:
        verify_login(login)
    assert refused.value.do


def test_serial_numbers() -> None:
    verify_serial("SK00000001")
    for serial in ("", "x" * 65, "-1", "a b", "ä"):
        with pytest.raises(BadInput):
            verify_serial(serial)


def test_names_are_printable_and_not_too_long() -> None:
    verify_name("Köln, 3rd floor", "device", 128)
    verify_name("x" * 128, "device", 128)
    for name in ("", "x" * 129, " x", "x ", "a\nb", "a\x00b"):
        with pytest.raises(BadInput, match="device"):
            verify_name(name, "device", 128)


def test_no_name_is_one_that_browsers_resolve_in_an_address() -> None:
    for name in (".", "..", "a/..", "./a", "a/../b"):
        with pytest.raises(BadInput, match="device"):
            verify_name(name, "device", 128)
    for name in ("...", ".x", "x."):
        verify_name(name, "device", 128)
