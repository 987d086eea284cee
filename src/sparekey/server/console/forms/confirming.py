"""The page that asks for confirmation before a change that cannot be undone."""

from collections.abc import Mapping, Sequence

from sparekey.server.web.page_results import Reply
from sparekey.server.web.visits import Visit


def ask_first(
    visit: Visit,
    title: str,
    button: str,
    to: str,
    *sentences: str,
    crumbs: Sequence[tuple[str, str]],
    fields: Mapping[str, str] | None = None,
) -> Reply:
    """Return the confirmation page.

    `to`: the address to which the form is sent, with `fields`. `crumbs`: pairs of address and text; the last address is
    also the target of Cancel.
    """
    return visit.show(
        "confirm.html",
        title=title,
        button=button,
        to=to,
        sentences=sentences,
        crumbs=crumbs,
        fields=tuple((fields or {}).items()),
        back=crumbs[-1][0],
    )
