"""The registry of pages: each with its path, the permission that it needs, and the one function that makes it.

Rules (architecture, "a console page"): a handler reads what was asked, calls a use case, and names a template; whether
the visitor may do it is said by the use case, the permission here only decides what is offered and refuses early (S63);
what is dangerous is marked `fresh` (S62); what changes anything is a POST.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey.core.permissions import Permission
from sparekey.server.web.replies import Reply
from sparekey.server.web.visits import Visit

Handler = Callable[[Visit], Reply]
FORM: Final = 65_536  # bytes of a form
FILE: Final = 32 * 2**20  # bytes of a form with a file


@dataclass(frozen=True)
class Page:
    """One line of the registry.

    `permission` None: for everybody who signed in. `fresh`: only with a second factor that is not older than ten
    minutes. `again`: the page on which a mistake in the form is shown, with what was typed. `largest`: bytes of a form.
    `whole` False: a file, or a part that another page puts in its place.
    """

    method: str
    path: str
    handler: Handler
    permission: Permission | None = None
    fresh: bool = False
    again: Handler | None = None
    largest: int = FORM
    whole: bool = True

    @property
    def changes(self) -> bool:
        return self.method == "POST"

    @property
    def is_looked_at(self) -> bool:
        """Whether a browser shows it by its address."""
        return self.whole and not self.changes


class Pages:
    """The pages of one noun; the decorators keep them in order."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix: Final = prefix
        self.all: Final[list[Page]] = []

    def get(self, path: str, permission: Permission | None, *, whole: bool = True) -> Callable[[Handler], Handler]:
        """A page to look at; nothing dangerous is done by looking."""
        return self._keep(lambda handler: Page("GET", self._prefix + path, handler, permission, whole=whole))

    def post(
        self, path: str, permission: Permission | None, *, again: Handler, fresh: bool = False, largest: int = FORM
    ) -> Callable[[Handler], Handler]:
        """A form that is sent: something changes, or is shown once."""
        return self._keep(lambda it: Page("POST", self._prefix + path, it, permission, fresh, again, largest))

    def _keep(self, page_of: Callable[[Handler], Page]) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.all.append(page_of(handler))
            return handler

        return keep
