"""House rule of the tours: their stops exist, pass the decision, and are short enough to be read in one sitting."""

import pytest

from tools.tour import TOURS, total, tours

DECIDING_FILES = {
    "docs/tour-server.md": {
        "src/sparekey/app/sign_in/verification.py",
        "src/sparekey/core/sign_in/authenticate.py",
        "src/sparekey/storage/sign_in/statements.py",
    },
    "docs/tour-device.md": {
        "src/sparekey/agent/sign_in/attempt.py",
        "src/sparekey/agent/sign_in/offline.py",
        "src/sparekey/sealed/open.py",
        "src/sparekey/agent/store/erasing.py",
    },
}


def test_each_tour_has_fewer_lines_than_its_limit() -> None:
    assert {tour: total(lines) for tour, lines in tours().items() if total(lines) >= TOURS[tour]} == {}


@pytest.mark.parametrize("tour", TOURS)
def test_each_tour_passes_the_files_that_decide(tour: str) -> None:
    assert set(tours()[tour]) >= DECIDING_FILES[tour]
