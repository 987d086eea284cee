"""Lengths of time in seconds."""

from typing import Final

DAY_SECONDS: Final = 86_400
