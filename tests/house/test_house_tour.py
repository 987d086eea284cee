"""House rule of the tours: their stops exist, pass the decision, and are short enough to be read in one sitting."""

from tools.tour import TOURS, lines_of_the_tour, total, tours


def test_each_tour_has_fewer_lines_than_its_limit() -> None:
    passed = tours()
    assert passed
    assert {tour: total(lines) for tour, lines in passed.items() if total(lines) >= TOURS[tour]} == {}


def test_the_tour_passes_the_decision() -> None:
    assert {"src/sparekey/app/sign_in/verification.py", "src/sparekey/core/sign_in/authenticate.py"} <= set(
        lines_of_the_tour()
    )
