"""Derives the effect of an edit of a policy from its fields: the one source for edits, previews and documentation.

An assignment, a removal and a new default count as edits, too: from the policy that was in force in a domain to the
policy that is in force afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from sparekey.core.policy.fields import EditEffect
from sparekey.core.policy.kinds import PolicyKind, StoredPolicy


class Extent(Enum):
    """The amount of data on devices that an edit affects."""

    NOTHING = "nothing"
    EXCESS = "data that a stricter limit no longer allows"
    CODES = "emergency codes"
    ALL = "all offline data"


@dataclass(frozen=True)
class PolicyEffect:
    """The effect of an edit, field by field. `fields`: the fields whose edit has an effect, in their order."""

    fields: Mapping[str, EditEffect]

    @property
    def discarding(self) -> tuple[str, ...]:
        """The fields whose new value discards or erases data on devices. The administrator must confirm it."""
        return tuple(name for name, effect in self.fields.items() if effect in _DISCARDING)

    @property
    def renews(self) -> bool:
        """True if all offline data are renewed, in a new generation (spec/offline-day.md, server rule 3)."""
        return not _RENEWING.isdisjoint(self.fields.values())

    @property
    def renews_codes(self) -> bool:
        """True if emergency codes get another expiry and are sealed again."""
        return EditEffect.RENEWS_CODES in self.fields.values()

    @property
    def ends_own_codes(self) -> bool:
        """True if the online emergency codes that users made for themselves end."""
        return EditEffect.ENDS_OWN_CODES in self.fields.values()

    @property
    def extent(self) -> Extent:
        """The amount of data on devices that is discarded, erased or renewed."""
        if self.renews:
            return Extent.ALL
        if self.renews_codes:
            return Extent.CODES
        return Extent.EXCESS if self.discarding else Extent.NOTHING


_DISCARDING = frozenset({EditEffect.DISCARDS, EditEffect.ERASES})
_RENEWING = frozenset({EditEffect.DISCARDS, EditEffect.RENEWS})


def effect_of_edit(old: StoredPolicy, new: StoredPolicy) -> PolicyEffect:
    """Return the effect of putting `new` in the place of `old`, a policy of the same kind."""
    effects = {
        name: field.effect_of(getattr(old, name), getattr(new, name))
        for name, field in PolicyKind.of(type(old)).fields.items()
    }
    return PolicyEffect({name: effect for name, effect in effects.items() if effect is not EditEffect.NOTHING})
