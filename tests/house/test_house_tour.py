"""House rule of docs/tour.md: its stops exist, pass the decision, and are short enough to be read in one sitting."""

from tools.tour import MOST_LINES, lines_of_the_tour, total


def test_the_tour_passes_the_decision_in_less_than_1500_lines() -> None:
    lines = lines_of_the_tour()
    assert {"src/sparekey/app/sign_in/verification.py", "src/sparekey/core/sign_in/authenticate.py"} <= set(lines)
    assert total(lines) < MOST_LINES
