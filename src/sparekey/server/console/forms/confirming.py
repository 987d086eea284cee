"""The page that asks once more before something that cannot be taken back."""

from collections.abc import Mapping, Sequence

from sparekey.server.web.replies import Reply
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
    """`to`: where the form is sent, with `fields`; `crumbs`: address and words, the last one is also the way back."""
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
