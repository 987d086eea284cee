"""The type of a value in JSON: messages, the details of an event, and the cells of a report."""

from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = str | int | bool | list["Json"] | tuple["Json", ...] | Mapping[str, "Json"] | None
