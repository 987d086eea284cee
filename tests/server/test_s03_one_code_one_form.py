"""S03 through the doors: a code that was used is not accepted again in any other spelling."""

from tests.builders import NOW, PIN, a_device, a_user
from tests.server.doors import Doors, is_granted, run

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def spellings(code: str) -> list[str]:
    """The code as it must not be taken again, and codes of the wrong length."""
    return [
        code,
        f" {code}",
        f"{code}\n",
        f"{code}\r\n",
        f"{code}\x00",
        f"\u00a0{code}",
        f"{code[:3]} {code[3:]}",
        code.translate(FULL_WIDTH),
        code.translate(ARABIC),
        f"+{code}",
        f"-{code}",
        code[1:],
        code[:-1],
        f"0{code}",
        f"{code}0",
    ]


def test_s03_a_used_code_is_not_accepted_in_another_form(doors: Doors) -> None:
    device = a_device(doors.instance)
    for pin in ("", PIN):
        for by_device in (False, True):
            user = a_user(doors.instance, pin=pin)
            code = user.totp.code(user.step(NOW))
            first = doors.sign_in(device, user.login, pin + code) if by_device else doors.rest(user.login, pin + code)
            assert is_granted(run(first))
            for spelling in spellings(code):
                for typed in (pin + spelling, f" {pin}{spelling}"):
                    assert not is_granted(run(doors.rest(user.login, typed))), ascii(typed)
                    assert not is_granted(run(doors.sign_in(device, user.login, typed))), ascii(typed)


def test_s03_a_code_in_another_form_is_not_accepted_at_first_either(doors: Doors) -> None:
    user = a_user(doors.instance)
    code = user.totp.code(user.step(NOW))
    outer = {code, f" {code}", f"{code}\n", f"{code}\r\n"}
    for spelling in spellings(code):
        if spelling not in outer:
            assert not is_granted(run(doors.rest(user.login, spelling))), ascii(spelling)
    assert is_granted(run(doors.rest(user.login, f" {code}\n")))
