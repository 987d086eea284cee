"""Home: the user's devices and tokens, and what works if the network fails now. Activity: the user's events."""

from sparekey.app.self_service import own as self_service
from sparekey.server.selfservice import words
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit

pages = Pages("/self-service")
_LATEST, _PAGE = 5, 50


@pages.get("", None)
def home(visit: Visit) -> Reply:
    own = self_service.look(visit.instance, visit.actor, now=visit.now)
    latest = self_service.activity(visit.instance, visit.actor, _LATEST)
    return visit.show("self-service/home.html", own=own, latest=latest, say=words)


@pages.get("/activity", None)
def activity(visit: Visit) -> Reply:
    before = visit.query.number("after", "The place in the list", 0, 10**15, 0) or None
    rows = self_service.activity(visit.instance, visit.actor, _PAGE + 1, before)
    shown = rows[:_PAGE]
    return visit.show(
        "self-service/activity.html",
        rows=shown,
        next=str(shown[-1].id) if len(rows) > _PAGE else None,
        say=words,
        help_text=self_service.help_text(visit.instance, visit.actor),
    )
