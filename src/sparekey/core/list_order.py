"""The order of a list: the key to sort by, and the direction.

As text: `name`, or `-name` for descending order. An empty text is the default order of the list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sparekey.core.errors import BadInput


@dataclass(frozen=True)
class Order:
    """A sort key and a direction."""

    by: str
    descending: bool = False


def read_order(text: str, known: Sequence[str], what: str) -> Order:
    """Parse an order such as `-name`. `known`: the sort keys, the default first; `what`: the objects, for the error.

    Raises BadInput for an unknown key.
    """
    by = text.removeprefix("-")
    if text and by not in known:
        raise BadInput(f"{what} cannot be sorted by {text!r}", f"give one of: {', '.join(known)}, or -{known[0]}")
    return Order(by or known[0], text.startswith("-"))
