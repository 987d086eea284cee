"""The registry of pages: each with its path, its permission, and its handler.

Rules (architecture, "How a page is made"):
- A handler reads the input, calls a use case and names a template.
- The use case decides whether the visitor may do it. The permission here only controls which pages are offered, and
  rejects early (S63).
- Dangerous pages are marked `fresh` (S62).
- Every change is a POST.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sparekey.core.permissions import Permission
from sparekey.server.web.page_results import Reply
from sparekey.server.web.visits import Visit

Handler = Callable[[Visit], Reply]
FORM: Final = 65_536  # bytes of a form
FILE: Final = 32 * 2**20  # bytes of a form with a file


@dataclass(frozen=True)
class Page:
    """One page.

    `permission` None: for all signed-in visitors. `fresh`: needs a second factor from the last ten minutes. `again`:
    the page that shows a mistake in the form, with the input. `largest`: the limit of a form in bytes. `whole` False: a
    file, or a part that another page includes.
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
    def is_opened_by_address(self) -> bool:
        """Return True if a browser can open the page by its address."""
        return self.whole and not self.changes


class Pages:
    """The pages of one noun, registered by decorators."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix: Final = prefix
        self.all: Final[list[Page]] = []

    def get(self, path: str, permission: Permission | None, *, whole: bool = True) -> Callable[[Handler], Handler]:
        """Register a page that changes nothing."""
        return self._keep(lambda handler: Page("GET", self._prefix + path, handler, permission, whole=whole))

    def post(
        self, path: str, permission: Permission | None, *, again: Handler, fresh: bool = False, largest: int = FORM
    ) -> Callable[[Handler], Handler]:
        """Register a form that changes something, or shows a secret once."""
        return self._keep(lambda it: Page("POST", self._prefix + path, it, permission, fresh, again, largest))

    def _keep(self, page_of: Callable[[Handler], Page]) -> Callable[[Handler], Handler]:
        def keep(handler: Handler) -> Handler:
            self.all.append(page_of(handler))
            return handler

        return keep
