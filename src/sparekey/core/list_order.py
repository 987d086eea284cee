"""In which order a list is asked for: by one of what it can be sorted by, either way.

As text: `name`, or `-name` for the other way round; "" is a list's own order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sparekey.core.errors import BadInput


@dataclass(frozen=True)
class Order:
    """`by`: what of each row decides."""

    by: str
    descending: bool = False


def read_order(text: str, known: Sequence[str], what: str) -> Order:
    """`known`: by what the list can be sorted, its own order first; `what`: what is in it, for the refusal.

    Raises BadInput for any other.
    """
    by = text.removeprefix("-")
    if text and by not in known:
        raise BadInput(f"{what} cannot be sorted by {text!r}", f"give one of: {', '.join(known)}, or -{known[0]}")
    return Order(by or known[0], text.startswith("-"))
