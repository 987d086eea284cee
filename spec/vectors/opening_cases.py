"""Units that every reader accepts, and what is typed at which moment: steps 3 to 5 of "Opening"."""

from sparekey.sealed import BALANCED, STRONG, check_of, erase_through, seal_previous, split_unit, unlock
from sparekey.secret import Secret
from spec.vectors.materials import (
    AT_TEN,
    DAY,
    EVENTS,
    MIDNIGHT,
    OFFLINE_KEY,
    OLD_KEY,
    PASSCODE,
    PIN,
    PLAN,
    RESCUE,
    TEN,
    THREE,
    TWO,
    Case,
    alice_day,
    at,
    changed,
    fixed,
    hit,
    pin_hash,
    sealed,
    tokencode,
)

WRONG, NOT_NOW = "wrong passcode", "not valid now"


def opening_cases() -> list[Case]:
    """All of them."""
    return [*_levels(), *_tokens(), *_windows(), *_ends(), *_events(), *_emergency(), *_typed(), *_erased(), *_keys()]


def _levels() -> list[Case]:
    return [
        hit("light", "a day at light, PIN and six digits", alice_day(), AT_TEN),
        hit("balanced", "a day at balanced", sealed(changed(PLAN, level=BALANCED), AT_TEN, 1), AT_TEN),
        hit("strong", "a day at strong", sealed(changed(PLAN, level=STRONG), AT_TEN, 1), AT_TEN),
        Case(
            "pepper-last", "the highest pepper", sealed(PLAN, AT_TEN, 1, pepper=511), at(AT_TEN), i=AT_TEN, pepper=511
        ),
    ]


def _tokens() -> list[Case]:
    no_pin = changed(PLAN, pin=None, digits=8, level=BALANCED)
    letters = changed(PLAN, pin=pin_hash("aB3dO1lZ"))
    half = changed(PLAN, interval=30)
    return [
        hit(
            "pin-less",
            "an authenticator app: no PIN, eight digits, balanced",
            sealed(no_pin, AT_TEN, 1),
            AT_TEN,
            tokencode(AT_TEN, 8),
        ),
        Case(
            "pin-less-with-pin",
            "nothing goes before the code of a token without a PIN",
            sealed(no_pin, AT_TEN, 1),
            PIN + tokencode(AT_TEN, 8),
            WRONG,
        ),
        hit(
            "pin-letters",
            "a PIN of letters and digits, case kept, look-alikes kept",
            sealed(letters),
            AT_TEN,
            "aB3dO1lZ" + tokencode(AT_TEN),
            pin="aB3dO1lZ",
        ),
        Case("pin-case", "the same PIN in another case", sealed(letters), "AB3dO1lZ" + tokencode(AT_TEN), WRONG),
        hit("interval-30", "a code every 30 seconds", sealed(half, AT_TEN * 2 - 1, 3), AT_TEN * 2),
        hit(
            "pin-cost",
            "a PIN hashed with three passes of 32 MiB",
            sealed(changed(PLAN, pin=pin_hash(PIN, 32768, 3))),
            AT_TEN,
        ),
    ]


def _windows() -> list[Case]:
    ahead = sealed(changed(PLAN, drift=7), AT_TEN + 5)
    behind = sealed(changed(PLAN, drift=-7), AT_TEN - 9)
    narrow, wide = sealed(changed(PLAN, window=0)), sealed(changed(PLAN, window=2))
    return [
        hit("window-before", "the interval before", alice_day(), AT_TEN - 1),
        hit("window-after", "the interval after", alice_day(), AT_TEN + 1),
        hit("window-last-second", "the last second of an interval", alice_day(), AT_TEN, time=TEN + 59),
        Case("window-two-before", "outside of the window", alice_day(), at(AT_TEN - 2), WRONG),
        Case("window-two-after", "outside of the window", alice_day(), at(AT_TEN + 2), WRONG),
        hit("window-zero", "no window", narrow, AT_TEN),
        Case("window-zero-before", "no window, the interval before", narrow, at(AT_TEN - 1), WRONG),
        hit("window-two", "a window of two", wide, AT_TEN + 2),
        hit("drift-ahead", "a token seven intervals ahead", ahead, AT_TEN + 7),
        hit("drift-behind", "a token seven intervals behind", behind, AT_TEN - 7),
        hit("shift-up", "a learnt shift of one", alice_day(), AT_TEN + 2, shift=1),
        hit("shift-down", "a learnt shift of minus one", alice_day(), AT_TEN - 2, shift=-1),
        Case("shift-away", "a learnt shift takes the far end out", alice_day(), at(AT_TEN - 1), WRONG, shift=1),
    ]


def _ends() -> list[Case]:
    last, first = (DAY + 1) * 1440 - 1, DAY * 1440
    evening, morning = sealed(PLAN, last - 1, 2), sealed(PLAN, first, 2)
    early = sealed(changed(PLAN, drift=3), first + 3, 2)
    after = MIDNIGHT + 86400
    return [
        hit("midnight-before", "the day's last interval", evening, last, time=after - 1),
        hit("midnight-after", "its last interval, typed after midnight", evening, last, time=after + 10),
        Case("midnight-gone", "the window has left the day", evening, at(last), NOT_NOW, time=after + 60),
        hit("midnight-early", "its first interval, typed before midnight", morning, first, time=MIDNIGHT - 1),
        Case("midnight-too-early", "the day before", morning, at(first), NOT_NOW, time=MIDNIGHT - 61),
        hit("midnight-drift", "the UTC day is the server's, the interval the token's", early, first + 3, time=MIDNIGHT),
        hit("not-after", "the last moment of a unit", sealed(EVENTS, 7, 1), 7, next=7, time=EVENTS.not_after),
        Case(
            "not-after-past",
            "one second later",
            sealed(EVENTS, 7, 1),
            at(7),
            NOT_NOW,
            next=7,
            time=EVENTS.not_after + 1,
        ),
        Case("not-covered", "the unit begins later that day", alice_day(), at(AT_TEN), NOT_NOW, time=TEN - 600),
        Case("end-before-text", "step 3 comes before step 4", alice_day(), "?", NOT_NOW, time=TEN - 600),
    ]


def _events() -> list[Case]:
    pack = sealed(EVENTS, 100, 20)
    return [
        hit("events-next", "the next counter", pack, 103, next=103),
        hit("events-ahead", "as far ahead as the window", pack, 108, next=103),
        Case("events-too-far", "one further", pack, at(109), WRONG, next=103),
        Case("events-used", "a counter before the next", pack, at(102), WRONG, next=103),
        hit("events-end", "the window reaches past the pack", pack, 119, next=118),
        hit("events-begin", "the window begins before the pack", pack, 100, next=97),
        Case("events-over", "the pack is used up", pack, at(119), NOT_NOW, next=120),
    ]


def _emergency() -> list[Case]:
    rescue, passcode = sealed(RESCUE, code=TWO), sealed(PASSCODE, code=THREE)
    alone = sealed(changed(RESCUE, pin=None), code=THREE)
    other = "0000100002"
    return [
        Case("emergency", "PIN and emergency tokencode", rescue, "4711 7K3X1-Q8M24", code=TWO),
        Case("emergency-typed", "lower case, dashes anywhere", rescue, " 4711-7k3x 1q8-m24\n", code=TWO),
        Case("emergency-last", "the last moment", rescue, "47117K3X1Q8M24", code=TWO, time=RESCUE.not_after),
        Case("emergency-expired", "one second later", rescue, "47117K3X1Q8M24", NOT_NOW, time=RESCUE.not_after + 1),
        Case("emergency-wrong-pin", "the right code after a wrong PIN", rescue, "4712 7K3X1-Q8M24", WRONG),
        Case("emergency-wrong-code", "another code with right checks", rescue, "4711" + other, WRONG),
        Case("emergency-no-pin", "the code alone", rescue, "7K3X1-Q8M24", WRONG),
        Case("emergency-misread", "group 2 misread", rescue, "4711 7K3X1-Q8N24", "misread 2"),
        Case("emergency-pin-less", "a token without a PIN: three groups", alone, "7K3X1-Q8M24-0ZZ91", code=THREE),
        Case("emergency-pin-less-misread", "group 1 misread", alone, "7K3X2-Q8M24-0ZZ91", "misread 1"),
        Case("passcode", "emergency passcode", passcode, "7k3xI-q8m24-Ozz9l", code=THREE),
        Case("passcode-pin", "a PIN before it", passcode, "4711 7K3X1-Q8M24-0ZZ91", WRONG),
        Case("passcode-u", "U has no value", passcode, "7K3X1-Q8M24-0UZ91", "misread 3"),
    ]


def _typed() -> list[Case]:
    no_pin = sealed(changed(PLAN, pin=None, level=BALANCED), AT_TEN, 1)
    code = tokencode(AT_TEN)
    wide = "".join(chr(ord(digit) - ord("0") + 0xFF10) for digit in code)
    return [
        hit("typed-outer", "spaces and line ends outside", alice_day(), AT_TEN, f" \r\n{at(AT_TEN)} \n"),
        Case("typed-inner", "a space between PIN and tokencode", alice_day(), f"{PIN} {code}", WRONG),
        Case("typed-wrong-pin", "a wrong PIN", alice_day(), "4712" + code, WRONG),
        Case("typed-wrong-code", "a wrong code", alice_day(), PIN + tokencode(5), WRONG),
        Case("typed-full-width", "full-width digits", no_pin, wide, WRONG),
        Case("typed-plus", "a sign", no_pin, "+" + code, WRONG),
        Case("typed-short", "a digit too few", no_pin, code[1:], WRONG),
        Case("typed-long", "a digit too many", no_pin, code + "0", WRONG),
        Case("typed-empty", "nothing", alice_day(), "", WRONG),
        Case("typed-65", "65 characters", alice_day(), "1" * 65, WRONG),
    ]


def _erased() -> list[Case]:
    head, records = split_unit(alice_day())
    one = head + erase_through(records, AT_TEN - 2, AT_TEN)
    everything = head + bytes(len(records))
    return [
        hit("erased-neighbour", "records up to 10:00 erased; the next opens", one, AT_TEN + 1, receipt=False),
        Case("erased", "an erased record", one, at(AT_TEN), WRONG, receipt=False),
        Case("erased-all", "all records erased", everything, at(AT_TEN), WRONG, receipt=False),
        Case("erased-receipt", "an erased unit is not taken", one, at(AT_TEN + 1), "malformed"),
        Case("used", "the last used interval", alice_day(), at(AT_TEN), WRONG, last_used=AT_TEN),
        Case("used-before", "an interval before the last used", alice_day(), at(AT_TEN - 1), WRONG, last_used=AT_TEN),
        hit("used-next", "the interval after the last used", alice_day(), AT_TEN + 1, last_used=AT_TEN),
        Case("used-all", "every interval of the window is used", alice_day(), at(AT_TEN), WRONG, last_used=AT_TEN + 1),
    ]


def _keys() -> list[Case]:
    device_secret = fixed("device secret")
    wrapped = (
        ("old_check", check_of(OLD_KEY).hex()),
        ("old_key", OLD_KEY.reveal().hex()),
        ("device_secret", device_secret.hex()),
        ("purpose", "cached-password"),
    )
    opens = unlock(OFFLINE_KEY, Secret(device_secret), "user-1", "cached-password")
    linked = sealed(changed(PLAN, previous=seal_previous(OFFLINE_KEY, OLD_KEY)))
    return [
        hit(
            "previous",
            "the key before this one, and what the new one unlocks",
            linked,
            AT_TEN,
            extra=(*wrapped, ("unlock", opens.reveal().hex())),
        ),
    ]
