"""Results of a page: a template to show, a redirect, or a file. `responses` turns them into responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparekey.secret import Secret


@dataclass(frozen=True)
class Shown:
    """A page. `values`: the values of its template. `secret`: it shows a code, a key or a seed, and is never
    compressed, because it also contains text that the visitor chose."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict, repr=False)
    status: int = 200
    secret: bool = False


@dataclass(frozen=True)
class Redirect:
    """A redirect after a change, with a message that is shown once. `session`: begins one; `signs_out`: ends it."""

    to: str
    said: str = ""
    session: Secret[str] | None = None
    signs_out: bool = False


@dataclass(frozen=True)
class Download:
    """A file to download."""

    content: bytes = field(repr=False)
    media_type: str = "application/octet-stream"
    name: str = "file"


Reply = Shown | Redirect | Download
