"""Inputs that a user may type, and the readings of each: the scenarios of splitting/."""

import json

from spec.vectors.vector_file import Fields, render

TOKEN_6, TOKEN_8, TOKEN_6_ALONE = "tokencode 6 pin", "tokencode 8 pin", "tokencode 6 alone"
AFTER_PIN, ALONE = "emergency 0 pin", "emergency 0 alone"
ONLINE, ONLINE_ALONE = "online -8 pin", "online -8 alone"

TWO, THREE = "7K3X1Q8M24", "7K3X1Q8M240ZZ91"
"""Codes of two and three groups; all checks hold."""
DIGITS_ONLY = "0000100002"
"""A code of two groups in which every character is a digit."""

Case = tuple[str, str, list[str], str, str]
"""File name, about, shapes, typed, expect."""

NO = "wrong passcode"


def reads(*candidates: tuple[str, str, str]) -> str:
    """The `expect` of a text that fits: shape, PIN, code of each candidate."""
    return json.dumps([list(candidate) for candidate in candidates])


TOKENCODES: list[Case] = [
    ("tokencode", "PIN and tokencode", [TOKEN_6], "1234567890", reads((TOKEN_6, "1234", "567890"))),
    ("tokencode-8", "the longest", [TOKEN_8], "abcdEFGH01234567", reads((TOKEN_8, "abcdEFGH", "01234567"))),
    ("tokencode-alone", "a token without a PIN", [TOKEN_6_ALONE], "012345", reads((TOKEN_6_ALONE, "", "012345"))),
    (
        "tokencode-pin-as-typed",
        "case and look-alikes of a PIN are kept",
        [TOKEN_6],
        "OiLo012345",
        reads((TOKEN_6, "OiLo", "012345")),
    ),
    (
        "tokencode-outer-space",
        "spaces and line ends outside mean nothing",
        [TOKEN_6],
        " \n1234567890 \r\n",
        reads((TOKEN_6, "1234", "567890")),
    ),
    ("tokencode-inner-space", "a space inside is not skipped before digits", [TOKEN_6], "1234 567890", NO),
    (
        "tokencode-two-tokens",
        "two tokens, two lengths",
        [TOKEN_8, TOKEN_6],
        "12345678901234",
        reads((TOKEN_8, "123456", "78901234"), (TOKEN_6, "12345678", "901234")),
    ),
    ("tokencode-pin-of-three", "a PIN is at least four characters", [TOKEN_6], "123567890", NO),
    ("tokencode-pin-of-nine", "a PIN is at most eight characters", [TOKEN_6], "123456789567890", NO),
    ("tokencode-pin-sign", "a PIN is letters and digits", [TOKEN_6], "12_4567890", NO),
    ("tokencode-five-digits", "one too few", [TOKEN_6_ALONE], "12345", NO),
    ("tokencode-seven-digits", "one too many", [TOKEN_6_ALONE], "1234567", NO),
    (
        "tokencode-seven-after-pin",
        "one too many after a PIN belongs to the PIN",
        [TOKEN_6],
        "12345678901",
        reads((TOKEN_6, "12345", "678901")),
    ),
    ("tokencode-plus", "a sign is no digit", [TOKEN_6_ALONE], "+123456", NO),
    ("tokencode-minus", "nor is a dash, which only emergency codes skip", [TOKEN_6_ALONE], "123-456", NO),
    ("tokencode-full-width", "digits of other alphabets", [TOKEN_6_ALONE], "\uff11\uff12\uff13456", NO),
    ("tokencode-arabic", "digits of other alphabets", [TOKEN_6], "1234\u0661\u0662\u0663\u0664\u0665\u0666", NO),
    ("tokencode-tab", "a tab is not taken off", [TOKEN_6_ALONE], "\t123456", NO),
    ("tokencode-no-break-space", "nor any other white space", [TOKEN_6_ALONE], "\u00a0123456", NO),
    ("tokencode-nul", "control characters", [TOKEN_6_ALONE], "123456\u0000", NO),
    ("empty", "nothing typed", [TOKEN_6, AFTER_PIN, ALONE], "", NO),
    ("blank", "nothing but space", [TOKEN_6, AFTER_PIN, ALONE], " \n ", NO),
    ("letters", "a word", [TOKEN_6, AFTER_PIN, ALONE], "password", NO),
]

EMERGENCY: list[Case] = [
    ("emergency", "PIN and code", [AFTER_PIN], "12347K3X1Q8M24", reads((AFTER_PIN, "1234", TWO))),
    ("emergency-grouped", "as read out", [AFTER_PIN], "1234 7K3X1-Q8M24", reads((AFTER_PIN, "1234", TWO))),
    (
        "emergency-lower-case",
        "the code is folded, the PIN is not",
        [AFTER_PIN],
        "aBcO 7k3x1 q8m24",
        reads((AFTER_PIN, "aBcO", TWO)),
    ),
    (
        "emergency-dashes",
        "separators anywhere behind the PIN",
        [AFTER_PIN],
        "1234 - 7-K3X1 Q 8M--24 -",
        reads((AFTER_PIN, "1234", TWO)),
    ),
    ("emergency-longest", "64 characters", [AFTER_PIN], "1234" + " " * 50 + TWO, reads((AFTER_PIN, "1234", TWO))),
    ("emergency-too-long", "65 characters", [AFTER_PIN], "1234" + " " * 51 + TWO, NO),
    (
        "emergency-pin-of-u",
        "U is a letter like any other in a PIN",
        [AFTER_PIN],
        "UUUU7K3X1Q8M24",
        reads((AFTER_PIN, "UUUU", TWO)),
    ),
    ("emergency-no-pin", "the code needs the PIN", [AFTER_PIN], "7K3X1-Q8M24", NO),
    ("emergency-pin-of-three", "too short a PIN", [AFTER_PIN], "123 7K3X1-Q8M24", NO),
    ("emergency-pin-of-nine", "too long a PIN", [AFTER_PIN], "123456789 7K3X1-Q8M24", NO),
    ("emergency-pin-in-two", "a PIN has no space", [AFTER_PIN], "12 34 7K3X1-Q8M24", NO),
    ("emergency-other-sign", "only spaces and dashes are skipped", [AFTER_PIN], "1234 7K3X1.Q8M24", NO),
    ("emergency-alone", "three groups", [ALONE], "7K3X1-Q8M24-0ZZ91", reads((ALONE, "", THREE))),
    ("emergency-alone-look-alikes", "O is 0, I and L are 1", [ALONE], "7k3xl q8m24 ozz9I", reads((ALONE, "", THREE))),
    ("emergency-alone-dash-first", "a separator before it", [ALONE], "- 7K3X1-Q8M24-0ZZ91", reads((ALONE, "", THREE))),
    ("emergency-alone-with-pin", "nothing goes before three groups", [ALONE], "1234 7K3X1-Q8M24-0ZZ91", NO),
    ("emergency-alone-short", "14 symbols", [ALONE], "7K3X1-Q8M24-0ZZ9", NO),
]

MISREAD: list[Case] = [
    ("misread-first", "one character of group 1", [AFTER_PIN], "1234 7K3Y1-Q8M24", "misread 1"),
    ("misread-second", "one character of group 2", [AFTER_PIN], "1234 7K3X1-Q8N24", "misread 2"),
    ("misread-check", "the check character itself", [AFTER_PIN], "1234 7K3X1-Q8M25", "misread 2"),
    ("misread-both", "both groups", [AFTER_PIN], "1234 7K3Y1-Q8N24", "misread 1 2"),
    ("misread-u", "U has no value", [AFTER_PIN], "1234 7K3U1-Q8M24", "misread 1"),
    ("misread-swap", "two neighbours swapped", [AFTER_PIN], "1234 7K3X1-8QM24", "misread 2"),
    ("misread-swap-far", "first and last of a group swapped", [AFTER_PIN], "1234 1K3X7-Q8M24", "misread 1"),
    ("misread-swapped-groups", "groups in the wrong order", [AFTER_PIN], "1234 Q8M24-7K3X1", "misread 1 2"),
    ("misread-third", "group 3 of three", [ALONE], "7K3X1-Q8M24-0ZY91", "misread 3"),
    (
        "misread-of-three-not-two",
        "15 symbols, three groups meant",
        [AFTER_PIN, ALONE],
        "7K3X1-Q8M24-0ZY91",
        "misread 3",
    ),
    (
        "misread-of-two-not-three",
        "two groups meant, and the PIN of five is right by chance",
        [ALONE, AFTER_PIN],
        "12345 7K3X1-Q8N24",
        "misread 2",
    ),
    ("misread-unclear", "15 symbols, nothing holds", [AFTER_PIN, ALONE], "AAAAA-AAAAA-AAAAA", "misread 1 2"),
    ("misread-no-pin", "what stands before it cannot be a PIN", [AFTER_PIN], "123 7K3Y1-Q8M24", NO),
]

AMBIGUOUS: list[Case] = [
    (
        "both-digits",
        "PIN and eight digits, or PIN and a code in digits",
        [AFTER_PIN, TOKEN_8],
        "4321" + DIGITS_ONLY,
        reads((AFTER_PIN, "4321", DIGITS_ONLY), (TOKEN_8, "432100", "00100002")),
    ),
    (
        "both-digits-order",
        "candidates stand in the order of the shapes",
        [TOKEN_8, AFTER_PIN],
        "4321" + DIGITS_ONLY,
        reads((TOKEN_8, "432100", "00100002"), (AFTER_PIN, "4321", DIGITS_ONLY)),
    ),
    (
        "ten-digits",
        "ten symbols are no code where no PIN stands before them",
        [AFTER_PIN, TOKEN_6],
        "1234567890",
        reads((TOKEN_6, "1234", "567890")),
    ),
    (
        "checks-hold-nothing-back",
        "checks fail, but it is a tokencode",
        [AFTER_PIN, TOKEN_6],
        "12347K3X123456",
        reads((TOKEN_6, "12347K3X", "123456")),
    ),
    (
        "fifteen-digits",
        "seven and eight digits, not a misread code",
        [ALONE, TOKEN_8],
        "765432112345678",
        reads((TOKEN_8, "7654321", "12345678")),
    ),
    (
        "fifteen-two-groups",
        "a PIN of five and two groups",
        [ALONE, AFTER_PIN, TOKEN_6],
        "12345 7K3X1-Q8M24",
        reads((AFTER_PIN, "12345", TWO)),
    ),
    (
        "fifteen-three-groups",
        "three groups and no PIN",
        [AFTER_PIN, ALONE, TOKEN_6],
        "7K3X1-Q8M24-0ZZ91",
        reads((ALONE, "", THREE)),
    ),
    (
        "pin-less-token",
        "six digits alone beside three groups",
        [ALONE, TOKEN_6_ALONE],
        "123456",
        reads((TOKEN_6_ALONE, "", "123456")),
    ),
    (
        "online",
        "eight letters and digits at a server door",
        [ONLINE],
        "aBcDabcd1234",
        reads((ONLINE, "aBcD", "ABCD1234")),
    ),
    ("online-alone", "the same without a PIN", [ONLINE_ALONE], "abcd1234", reads((ONLINE_ALONE, "", "ABCD1234"))),
    (
        "online-digits",
        "it may also be a tokencode",
        [TOKEN_8, ONLINE],
        "123498765432",
        reads((TOKEN_8, "1234", "98765432"), (ONLINE, "1234", "98765432")),
    ),
    ("online-sign", "letters and digits only", [ONLINE], "1234abcd-123", NO),
]


def splitting_vectors() -> dict[str, str]:
    """Text by file name."""
    return {f"{case[0]}.txt": _text(case) for case in [*TOKENCODES, *EMERGENCY, *MISREAD, *AMBIGUOUS]}


def _text(case: Case) -> str:
    _, about, shapes, typed, expect = case
    fields: Fields = {"about": about, "expect": expect, "shapes": ", ".join(shapes), "typed": json.dumps(typed)}
    return render(fields)
