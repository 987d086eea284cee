"""Every permission has one place and one phrase on the pages."""

from collections import Counter

from sparekey.core.permission_words import PERMISSION_GROUPS, allows
from sparekey.core.permissions import Permission


def test_every_permission_is_in_one_group() -> None:
    placed = Counter(permission for group in PERMISSION_GROUPS.values() for permission in group)
    assert placed == Counter(Permission)


def test_the_words_of_permissions_differ() -> None:
    phrases = [allows(permission) for permission in Permission]
    assert len(set(phrases)) == len(phrases)
    assert allows("moon.walk") == "moon.walk"
