"""What a page answers: a template to show, another page to go to, or bytes to keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparekey.secret import Secret


@dataclass(frozen=True)
class Shown:
    """A page. `values`: what its template is given, beside the frame's own. `secret`: it shows a code, a key or a seed,
    so that it is never compressed together with anything that a visitor chose.
    """

    template: str
    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    status: int = 200
    secret: bool = False


@dataclass(frozen=True)
class SentOn:
    """After a change: to another page, which says once what was done. `session`: begins one; `signs_out`: ends it."""

    to: str
    said: str = ""
    session: Secret[str] | None = None
    signs_out: bool = False


@dataclass(frozen=True)
class Sent:
    """A file to keep."""

    content: bytes = field(repr=False)
    media_type: str = "application/octet-stream"
    name: str = "file"


Reply = Shown | SentOn | Sent
