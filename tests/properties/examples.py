"""The number of examples of a property test that asks a database again and again."""

from typing import Final

from hypothesis import settings

_USUAL: Final = settings().max_examples  # of the profile
_FEW: Final = 20
_FULL: Final = 1_000  # at least

few_examples: Final = settings(max_examples=_USUAL if _USUAL >= _FULL else _FEW)
"""Decorator: fewer examples in `make test`, where each takes many transactions. `pytest --full` has its full number."""
