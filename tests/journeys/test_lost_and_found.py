"""A lost token, a code from the help desk instead, and each rule for the token's return; over real interfaces."""

from pathlib import Path

import pytest

from sparekey.app.emergency.offline import history
from sparekey.app.emergency.online import Terms, access_of, end, give_fixed, give_one_time
from sparekey.app.tokens.tokens import set_lost
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.emergency.online import IfAvailable
from tests.builders import CALLED_BACK, DAY, PIN, ROOT
from tests.journeys.site import Site, a_site

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


def test_a_lost_token_a_code_in_its_place_and_the_token_found(tmp_path: Path) -> None:
    with a_site(tmp_path) as site:
        site.enroll()
        site.login(site.passcode(), mode="online")
        _lost(site, lost=True)
        _ends_with_the_first_use_of_the_token(site)
        _denies_the_token_until_an_operator_ends_it(site)
        _allows_the_token_after_the_lifetime(site)
        _reads_right(site)


def _ends_with_the_first_use_of_the_token(site: Site) -> None:
    code = _fixed(site, IfAvailable.END)
    _refused_token(site)
    for _ in range(2):
        answer = site.login(PIN + code, mode="online")
        assert answer["method"] == "online-emergency"
    site.login(PIN + code[:-1] + ("2" if code[-1] != "2" else "3"), "denied")
    _lost(site, lost=False)
    site.login(PIN + code.lower(), mode="online")
    _accepted_token(site)
    site.login(PIN + code, "denied")
    assert access_of(site.instance, ROOT, site.alice.serial, now=site.now) is None


def _denies_the_token_until_an_operator_ends_it(site: Site) -> None:
    code = _fixed(site, IfAvailable.DENY)
    _refused_token(site)
    site.login(PIN + code, mode="online")
    end(site.instance, ROOT, site.alice.serial, now=site.now)
    _accepted_token(site)
    site.login(PIN + code, "denied")


def _allows_the_token_after_the_lifetime(site: Site) -> None:
    terms = Terms(1, IfAvailable.AFTER_LIFETIME)
    given = give_one_time(site.instance, ROOT, site.alice.serial, 2, terms, CALLED_BACK, now=site.now)
    first, second = (code.reveal() for code in given.codes)
    _refused_token(site)
    site.login(PIN + second, mode="online")
    site.login(PIN + second, "denied")
    site.login(PIN + first, mode="online")
    view = access_of(site.instance, ROOT, site.alice.serial, now=site.now)
    assert view is not None
    assert (view.codes, view.left, view.ended) == (2, 0, False)
    site.stage.time.advance(DAY)
    _accepted_token(site)
    assert access_of(site.instance, ROOT, site.alice.serial, now=site.now) is None


def _reads_right(site: Site) -> None:
    rows = history(site.instance, ROOT, CodeKind.TOKENCODE, site.alice.serial)
    told = [row.action.partition(".")[2] for row in reversed(rows)]
    assert told == [
        "temporary",
        "used",
        "used",
        "used",
        "ended",
        "temporary",
        "used",
        "ended",
        "temporary",
        "used",
        "used",
        "ended",
    ]
    assert {row.user for row in rows} == {"alice"}
    assert {row.token for row in rows} == {site.alice.serial}
    assert {(row.by, row.device) for row in rows if row.action == "emergency.used"} == {
        ("alice-laptop", "alice-laptop")
    }


def _fixed(site: Site, rule: IfAvailable) -> str:
    return (
        give_fixed(site.instance, ROOT, site.alice.serial, Terms(7, rule), CALLED_BACK, now=site.now).codes[0].reveal()
    )


def _lost(site: Site, *, lost: bool) -> None:
    set_lost(site.instance, ROOT, site.alice.serial, lost=lost, now=site.now)


def _refused_token(site: Site) -> None:
    site.next_interval()
    site.login(site.passcode(), "denied")


def _accepted_token(site: Site) -> None:
    site.next_interval()
    assert site.login(site.passcode(), mode="online")["method"] == "tokencode"
