"""Limits on the number of rows that each kind of search may read."""

from typing import Final

FEW: Final = 5_000  # rows that are fetched and sorted at once
FEW_WORDS: Final = 50_000  # as FEW, in the index of words, from which only the rows that are shown are fetched
LOOKED_AT: Final = 20_000  # rows of a list that are read in its order before another index is used
LISTS_AT_ONCE: Final = 64  # domains that each have a list of their own in an index
LISTS_WITH_WORDS: Final = 16  # as LISTS_AT_ONCE, where more rows of each list are read
