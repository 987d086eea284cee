"""The laptop's clock is its own: it starts again after a day, is set back, runs ten years ahead, and is put right."""

from collections.abc import Iterator

import pytest

from sparekey.core.policy.kinds import PolicyKind
from tests.builders import DAY, PIN, edit_policy
from tests.journeys.linux.laptop import INTERVAL, POLICY, Laptop, Person, a_laptop
from tests.journeys.linux.login_programs import LOGIN, SSH, SU, SUDO
from tests.journeys.linux.test_emergency import shown_tokencode

pytestmark = pytest.mark.services

CLOCK = "Tokencodes cannot be checked: the clock is wrong, or the offline data have expired."
TEN_YEARS = 3_653 * DAY


@pytest.fixture(scope="module")
def laptop_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    with a_laptop(tmp_path_factory.mktemp("clock"), policy=POLICY | {"days": "2"}, own_clock=True) as laptop:
        # a code that is a minute old while it is typed may be two minutes old when it is checked
        edit_policy(laptop.instance, {"code_window": "2"}, kind=PolicyKind.TOKEN, now=laptop.now)
        yield laptop


@pytest.fixture
def adrift(laptop_of_its_own: Laptop) -> Iterator[tuple[Laptop, Person]]:
    """The laptop was online a moment ago, its clock shows the server's time, and the network is cut; and whose it is.

    What she types is a minute old while she is online, so that she has not used what her token shows now.
    """
    laptop = laptop_of_its_own
    alice = laptop.add_person()
    laptop.sign_in_online(alice, later=-INTERVAL)
    laptop.pair.unplug()
    yield laptop, alice
    put_right(laptop)
    laptop.tidy_up()


def test_s24_a_clock_set_back_stops_tokencodes_and_no_emergency_code(adrift: tuple[Laptop, Person]) -> None:
    laptop, alice = adrift
    laptop.time.set(laptop.stage.time.offset - 2 * DAY)
    # in the boot of the last contact the wall clock means nothing
    assert SSH.try_it(laptop.machine, alice.login, alice.passcode()).is_in
    laptop.restart()
    said = SU.try_it(laptop.machine, alice.login, alice.passcode(later=INTERVAL))
    assert not said.is_in
    assert CLOCK in said.words
    assert laptop.held(alice).failures == 0
    code = shown_tokencode(laptop, alice)["code"]
    assert SU.try_it(laptop.machine, alice.login, PIN + code).is_in
    put_right(laptop)
    assert SUDO.try_it(laptop.machine, alice.login, alice.passcode()).is_in


def test_s32_ten_years_ahead_and_put_right_nothing_is_lost(adrift: tuple[Laptop, Person]) -> None:
    laptop, alice = adrift
    before = units_of(laptop, alice)
    laptop.time.set(laptop.stage.time.offset + TEN_YEARS)
    laptop.restart()
    for typed in (alice.passcode(), alice.passcode(later=TEN_YEARS)):
        said = SU.try_it(laptop.machine, alice.login, typed)
        assert not said.is_in
        assert CLOCK in said.words
    assert units_of(laptop, alice) == before
    put_right(laptop)
    assert LOGIN.try_it(laptop.machine, alice.login, alice.passcode()).is_in


def test_after_a_day_off_the_login_shows_the_days_left(adrift: tuple[Laptop, Person]) -> None:
    laptop, alice = adrift
    laptop.restart(off_for=DAY)
    said = SSH.try_it(laptop.machine, alice.login, alice.passcode())
    assert said.is_in, said.words
    assert "Signed in offline. 1 day of offline data left: connect to the network soon." in said.words


def put_right(laptop: Laptop) -> None:
    """Set the clock right, a minute later."""
    laptop.stage.time.advance(INTERVAL)
    laptop.time.set(laptop.stage.time.offset)


def units_of(laptop: Laptop, person: Person) -> dict[str, bytes]:
    directory = laptop.state_directory / "units"
    return {entry.file: (directory / entry.file).read_bytes() for entry in laptop.held(person).units}
