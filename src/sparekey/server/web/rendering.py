"""Render replies: the templates, their common values, and the headers of every page (S61).

Rules:
- Everything is escaped (autoescape).
- No template contains a script. The policy in the header allows only our own scripts.
- Pages are never cached.
- A missing value in a template is an error.
"""

import gzip
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from sparekey.core.audit_log.words import happened, refused_for
from sparekey.core.plurals import counted, rough_time
from sparekey.secret import Secret
from sparekey.server.web import words
from sparekey.server.web.assets import address_of_asset
from sparekey.server.web.cookies import new_mark
from sparekey.server.web.page_results import Download, Redirect, Shown
from sparekey.server.web.visits import Visit

_WORTH_COMPRESSING: Final = 1_024  # bytes
MARK_FIELD: Final = "mark"


def page_response(
    shown: Shown, visit: Visit, frame: Mapping[str, object], base: Secret[str], *, gzipped: bool
) -> Response:
    """Render a page. `frame`: the values of the frame around it; `base`: the secret of the marks in its forms."""
    nonce = secrets.token_urlsafe(16)
    given = {
        "visit": visit,
        "now": visit.now,
        "nonce": nonce,
        "mark": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(MARK_FIELD, new_mark(base)),
        "when": lambda at, **more: Markup('<time datetime="{}">{}</time>').format(
            words.machine_time(at), words.moment(at, visit.zone, **more)
        ),
        "distance": lambda at: words.distance(at, visit.now),
        "day_field": lambda at: words.day_field(at, visit.zone),
        "zone": words.zone_name(visit.zone),
        **frame,
        **shown.values,
    }
    content = _templates().get_template(shown.template).render(given).encode()
    headers = page_headers(nonce)
    if gzipped and not shown.secret and len(content) > _WORTH_COMPRESSING:
        content = gzip.compress(content, 5, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, shown.status, headers, "text/html; charset=utf-8")


def moved_response(sent_on: Redirect) -> Response:
    """Return a redirect after a change, so that reloading the page repeats nothing."""
    return RedirectResponse(sent_on.to, 303, page_headers(""))


def file_response(sent: Download) -> Response:
    """Return a file to download, never one to display as a page."""
    name = "".join(character for character in sent.name if character.isalnum() or character in "-_.") or "file"
    headers = page_headers("") | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(sent.content, 200, headers, sent.media_type)


def page_headers(nonce: str) -> dict[str, str]:
    """Return the headers of every page: only our scripts, no framing, no cache, no referrer to other sites."""
    script = f"'nonce-{nonce}'" if nonce else "'none'"
    policy = (
        f"default-src 'none'; script-src {script}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cache-Control": "no-store",
        "Vary": "HX-Request, Cookie",
    }


@cache
def _templates() -> jinja2.Environment:
    folders = [jinja2.PackageLoader(f"sparekey.server.{package}", "templates") for package in _PACKAGES]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=address_of_asset, code_of_token=words.code_of_token, drift_of_clock=words.drift_of_clock
    )
    environment.filters.update(
        counted=counted,
        happened=happened,
        refused_for=refused_for,
        rough_time=rough_time,
        sentence=words.sentence,
        token_type=words.token_type,
        segment=lambda text: quote(str(text), safe=""),
        options=lambda rows, value, label: [(getattr(row, value), getattr(row, label)) for row in rows],
    )
    return environment


_PACKAGES: Final = ("web", "console", "selfservice")
