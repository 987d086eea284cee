"""House rule of counts: none rises above its maximum in ratchet.toml, and the maxima follow the counts down."""

from tools.house.counts import count_house
from tools.house.english import read_phrases
from tools.house.ratchet import complaints, read_maxima


def test_no_count_is_above_its_maximum_and_no_maximum_is_slack() -> None:
    assert list(complaints(count_house(), read_maxima())) == []


def test_each_phrase_to_avoid_has_a_replacement() -> None:
    phrases = read_phrases()
    assert phrases
    assert [phrase.pattern.pattern for phrase in phrases if not phrase.instead.strip()] == []
