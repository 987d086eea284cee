"""A site of pages: from a request to a visit, through the rules that hold for every page, to a response.

Rules:
- Hosts are fixed: a request for another name is refused, so that no page is built on what a header says (S61).
- Who asks is known before anything of the request is read; who is not signed in is sent to the sign-in, and back.
- A form counts only with its mark and from our own origin (S61).
- What is dangerous needs a second factor that is not older than ten minutes (S62): where it is older, the form is kept
  and a passcode or a passkey asked for; both together are then sent again. A refusal leaves at the floor (S07).
- Reading and rendering are done beside the event loop; a mistake in a form is shown in the form; what was not foreseen
  is said in one sentence and logged without its words (S65).
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from sparekey.app.admin_sessions import Session
from sparekey.app.authorisation import verify_somewhere
from sparekey.app.instance import Instance
from sparekey.app.sign_in import Verdict
from sparekey.core.errors import BadInput, Conflict, NotAllowed, NotFound, SparekeyError
from sparekey.core.networks import is_within
from sparekey.core.outcome import Asked, Granted
from sparekey.core.passkeys import Place
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.server.bodies import Files, read_body
from sparekey.server.floor import Floor
from sparekey.server.replies import Refusal, is_unavailable, log_unforeseen
from sparekey.server.rest.callers import address_of
from sparekey.server.service import Service
from sparekey.server.web import cookies
from sparekey.server.web.fields import BadFields, Fields, SentFile
from sparekey.server.web.pages import FORM, Page
from sparekey.server.web.rendering import MARK_FIELD, file_response, moved_response, page_response
from sparekey.server.web.replies import Reply, Sent, SentOn, Shown
from sparekey.server.web.visits import Visit, zone_of
from sparekey.server.work import Busy, WorkPool

_STATUS: Final[Mapping[type[SparekeyError], int]] = {BadInput: 400, NotAllowed: 403, NotFound: 404, Conflict: 409}
_PASSCODE_FIELD: Final = "second-factor"
_ANSWER_FIELD: Final = "second-factor-reply-to"
_PASSKEY_FIELD: Final = "second-factor-passkey"
_ASKED_FIELDS: Final = frozenset({_PASSCODE_FIELD, _ANSWER_FIELD, _PASSKEY_FIELD, MARK_FIELD})
_LONGEST_SAID: Final = 1_000
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_BUSY: Final = Conflict("more is waiting than this server takes on", "wait a moment and load the page again")


@dataclass(frozen=True)
class Link:
    """One place in the navigation; `permission`: whoever has it nowhere does not see the link."""

    words: str
    to: str
    permission: Any = None


@dataclass(frozen=True)
class Passkeys:
    """How a passkey is a second factor at a site: `question`: the address where the browser asks what is to be signed;
    `known`: whether whoever has the session has a passkey for this place.
    """

    question: str
    known: Callable[[Instance, Place, Session], bool]
    refresh: Callable[[Instance, str, Place, Session, str, int], Verdict]


@dataclass(frozen=True)
class Sessions:
    """How a site knows who visits: the cookie of its sessions, and what finds one and refreshes its second factor.

    `networks`: from where they come; empty: from anywhere. `pool`: where the pages are made, so that one site keeps no
    other waiting. `passkeys` None: they are no second factor here.
    """

    cookie: str
    find: Callable[[Instance, Secret[str], int], Session | None]
    refresh: Callable[[Instance, str, Session, Secret[str], Secret[str], int], Verdict]
    networks: Callable[[Service], tuple[str, ...]]
    pool: Callable[[Service], WorkPool]
    passkeys: Passkeys | None = None


@dataclass(frozen=True)
class Site:
    """What one site of pages is: its name, its navigation, where one signs in and who did, and its pages.

    `account`: the page of whoever is signed in; "": there is none.
    """

    name: str
    home: str
    sign_in: str
    sign_out: str
    sessions: Sessions
    navigation: Sequence[tuple[str, Sequence[Link]]]
    pages: Sequence[Page]
    account: str = ""

    def links_for(self, actor: Actor) -> list[tuple[str, list[Link]]]:
        """The navigation as far as this actor can use it."""
        groups = [
            (words, [link for link in links if link.permission is None or _has(actor, link.permission)])
            for words, links in self.navigation
        ]
        return [(words, links) for words, links in groups if links]


def routes(service: Service, site: Site) -> APIRouter:
    """A route for each page."""
    router, files = APIRouter(), Files()
    for page in site.pages:
        router.add_api_route(
            page.path, _handler(service, site, page, files), methods=[page.method], include_in_schema=False,
            response_class=Response,
        )  # fmt: skip
    return router


def _handler(service: Service, site: Site, page: Page, files: Files) -> Callable[[Request], Awaitable[Response]]:
    is_file = page.largest > FORM

    async def handle(request: Request) -> Response:
        arrived = Floor.arrival()
        visit = admitted(service, site, request)
        pool = site.sessions.pool(service)
        try:
            with files.one(is_file=is_file):
                refused = await pool.run(_refused_unread, site, page, request, visit) if is_file else None
                if refused is not None:
                    return refused
                form = await read_form(request, page.largest) if page.changes else Fields()
                response, too_soon = await pool.run(_answered, site, page, request, replace(visit, form=form))
        except Busy:
            return failed(site, request, visit, _BUSY, 503)
        except Refusal as refusal:  # no form, or one that is too large
            return failed(site, request, visit, BadInput(refusal.reply.message, refusal.reply.do), refusal.status)
        if too_soon:
            await service.floor.wait(arrived)
        return response

    return handle


def _refused_unread(site: Site, page: Page, request: Request, visit: Visit) -> Response | None:
    """Who may send no file here sends none (S08); None: let it come, everything is looked at again then."""
    session = site.sessions.find(visit.instance, token_of(site, request), visit.now)
    if session is None:
        return _to_sign_in(site, page, request)
    try:
        if page.permission is not None:
            verify_somewhere(session.actor, page.permission)
    except SparekeyError as error:
        return failed(site, request, replace(visit, session=session), error, status_of(error))
    return None


def _answered(site: Site, page: Page, request: Request, visit: Visit) -> tuple[Response, bool]:
    """The page, and whether it refuses a second factor, so that it waits."""
    session = site.sessions.find(visit.instance, token_of(site, request), visit.now)
    if session is None:
        return _to_sign_in(site, page, request), False
    visit = replace(visit, session=session)
    try:
        _verify_admitted(site, page, request, visit)
        asked = _ask_for_second_factor(site, visit) if page.fresh and not session.is_fresh(visit.now) else None
        if asked is not None:
            return respond(site, request, visit, asked), bool(asked.values["wrong"])
        return _made(site, page, request, visit), False
    except SparekeyError as error:
        return failed(site, request, visit, error, status_of(error)), False
    except Exception as error:  # noqa: BLE001 -- every error is a page, and its words are not shown
        log_unforeseen(error)
        status, said = (503, "the server cannot answer now") if is_unavailable(error) else (500, "the server failed")
        return failed(site, request, visit, Conflict(said, "load the page again in a moment"), status), False


def _verify_admitted(site: Site, page: Page, request: Request, visit: Visit) -> None:
    """Raises NotAllowed for a form that is not ours, or a page that this visitor can use nowhere."""
    if page.changes:
        verify_ours(site, request, visit.form)
    if page.permission is not None:
        verify_somewhere(visit.actor, page.permission)


def _made(site: Site, page: Page, request: Request, visit: Visit) -> Response:
    """What the page answers; where something is wrong with its form, the form once more with what was typed."""
    try:
        reply = page.handler(visit)
    except SparekeyError as error:
        if page.again is None:
            raise
        visit = replace(visit, error=error)
        reply = page.again(visit)  # raises where what the form is about is gone
        if isinstance(reply, Shown):
            reply = replace(reply, status=status_of(error))
    return respond(site, request, visit, reply)


def status_of(error: SparekeyError) -> int:
    """Of HTTP, for a mistake."""
    return next((number for kind, number in _STATUS.items() if isinstance(error, kind)), 409)


def _ask_for_second_factor(site: Site, visit: Visit) -> Shown | None:
    """None: it came with the form, and was right. Else the page that asks for it and keeps the form."""
    verdict = _second_factor(site.sessions, visit)
    if verdict is not None and isinstance(verdict.outcome, Granted):
        return None
    said: dict[str, Any] = {
        "kept": [pair for pair in visit.form.pairs if pair[0] not in _ASKED_FIELDS],
        "question": "",
        "reply_to": "",
        "wrong": verdict is not None,
        "target": visit.url,
        "passkey_question": _passkey_question(site.sessions, visit),
    }
    if verdict is not None and isinstance(verdict.outcome, Asked):
        name = verdict.reply_to.reveal() if verdict.reply_to else ""
        said |= {"question": verdict.outcome.text, "reply_to": name, "wrong": False}
    # what was typed before may be a PIN
    return visit.show("second-factor.html", secret=True, **said)


def _second_factor(sessions: Sessions, visit: Visit) -> Verdict | None:
    """What is made of the passcode or the passkey that came with the form; None: neither came."""
    session, passcode = visit.session, visit.form.secret(_PASSCODE_FIELD)
    signed = visit.form.get(_PASSKEY_FIELD, "")
    if session is None:
        return None
    if signed and sessions.passkeys is not None and visit.place is not None:
        return sessions.passkeys.refresh(visit.instance, visit.address, visit.place, session, signed, visit.now)
    if not passcode:
        return None
    reply_to = visit.form.secret(_ANSWER_FIELD)
    return sessions.refresh(visit.instance, visit.address, session, passcode, reply_to, visit.now)


def _passkey_question(sessions: Sessions, visit: Visit) -> str:
    """Where the browser asks what is to be signed; "": whoever visits has no passkey for here."""
    passkeys, session, place = sessions.passkeys, visit.session, visit.place
    if passkeys is None or session is None or place is None or not passkeys.known(visit.instance, place, session):
        return ""
    return passkeys.question


def respond(site: Site, request: Request, visit: Visit, reply: Reply) -> Response:
    """A reply as bytes, in the frame of the site."""
    match reply:
        case Sent():
            return file_response(reply)
        case SentOn():
            return _moved(site, reply)
    said = _said(request)
    frame = {
        "site": site,
        "links": site.links_for(visit.actor) if visit.session is not None else [],
        "said": said,
        "error": visit.error,
    }
    base = cookies.base_of(request.cookies, site.sessions.cookie)
    new = Secret(cookies.new_browser()) if not base.reveal() else None
    response = page_response(reply, visit, frame, new or base, gzipped=takes_gzip(request))
    if new is not None:
        cookies.set_cookie(response, cookies.BROWSER, new.reveal())
    if said:
        cookies.delete_cookie(response, cookies.SAID)
    return response


def failed(site: Site, request: Request, visit: Visit, error: SparekeyError, status: int) -> Response:
    """An error as a page of its own."""
    return respond(site, request, visit, Shown("failed.html", {"failure": error}, status))


def _moved(site: Site, sent_on: SentOn) -> Response:
    response = moved_response(sent_on)
    if sent_on.said:
        said = json.dumps(sent_on.said[:_LONGEST_SAID]).encode()
        cookies.set_cookie(response, cookies.SAID, urlsafe_b64encode(said).decode())
    if sent_on.session is not None:
        cookies.set_cookie(response, site.sessions.cookie, sent_on.session.reveal())
    if sent_on.signs_out:
        cookies.delete_cookie(response, site.sessions.cookie)
    return response


def _said(request: Request) -> str:
    """What the page before did; only ours can set the cookie, and it is escaped like anything else."""
    try:
        said = json.loads(urlsafe_b64decode(request.cookies.get(cookies.SAID, "")) or b'""')
    except ValueError:
        return ""
    return said if isinstance(said, str) else ""


def _to_sign_in(site: Site, page: Page, request: Request) -> Response:
    """With the way back; a form that came too late is not kept."""
    way = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?to={quote(way, safe='')}" if not page.changes else ""
    if request.headers.get("hx-request"):
        # a part of a page cannot hold the sign-in: the whole page goes there
        return Response(status_code=204, headers={"HX-Redirect": site.sign_in, "Cache-Control": "no-store"})
    return moved_response(SentOn(f"{site.sign_in}{back}"))


def admitted(service: Service, site: Site, request: Request) -> Visit:
    """The visit, if this host and this address may have it. Raises Refusal."""
    verify_host(service, request)
    networks = site.sessions.networks(service)
    if networks and not is_within(address_of(request), networks):
        raise Refusal(403, "not-from-here", f"{site.name} does not answer to this address",
                      "see the settings admin_networks and self_service_networks")  # fmt: skip
    return visit_of(service, request)


def token_of(site: Site, request: Request) -> Secret[str]:
    """What the cookie of this site's sessions says; "": nothing."""
    return Secret(request.cookies.get(site.sessions.cookie, ""))


def visit_of(service: Service, request: Request) -> Visit:
    """The visit as far as the request itself tells."""
    query = request.url.query
    try:
        fields = Fields.of(query)
    except BadFields:
        fields = Fields()
    return Visit(
        instance=service.instance,
        settings=service.settings,
        now=service.now(),
        url=request.url.path + (f"?{query}" if query else ""),
        address=address_of(request),
        host=request.headers.get("host", ""),
        path={name: unquote(value) for name, value in request.path_params.items()},
        query=fields,
        zone=zone_of(unquote(request.cookies.get(cookies.ZONE, ""))),
        partial=request.headers.get("hx-request") == "true",
    )


async def read_form(request: Request, most: int) -> Fields:
    """Raises Refusal where it is none, or larger than it may be."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    body = await read_body(request, most)
    no_form = Refusal(400, "bad-request", "this is no form", "load the page again and send the form")
    if options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise no_form  # no browser names another, and some that a sender could name take hours to read (S08)
    try:
        if kind == b"multipart/form-data":
            return await _multipart(request, body)
        return Fields.of(body.decode("ascii"))
    except (BadFields, UnicodeDecodeError, MultiPartException):
        raise no_form from None


async def _multipart(request: Request, body: bytes) -> Fields:
    async def parts() -> Any:
        yield body

    parser = MultiPartParser(request.headers, parts(), max_files=4, max_fields=200)
    parser.spool_max_size = len(body) + 1  # in memory: a file of seeds is on no disk, not even for a moment
    data = await parser.parse()
    pairs, files = [], {}
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            files[name] = SentFile(value.filename or "", await value.read())
        else:
            pairs.append((name, value))
    await data.close()
    return Fields(pairs, files)


def verify_host(service: Service, request: Request) -> None:
    """Raises Refusal for a name that is not ours, or is written as no browser writes it."""
    named = _HOST.fullmatch(request.headers.get("host", ""))
    if named is None or named[1].strip("[]").lower() not in service.hosts:
        raise Refusal(421, "unknown-host", "this server does not answer under this name", "see the setting names")


def verify_ours(site: Site, request: Request, form: Fields) -> None:
    """Raises NotAllowed for a form that another site sent, or that is from before the sign-in (S61)."""
    origin, sent_from = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if (
        foreign
        or sent_from != "same-origin"
        or not cookies.is_mark(cookies.base_of(request.cookies, site.sessions.cookie), form.get(MARK_FIELD, ""))
    ):
        raise NotAllowed(
            "this form is from another page or another sign-in", "load the page again and send it once more"
        )


def takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def _has(actor: Actor, permission: Any) -> bool:
    within = actor.domains_with(permission)
    return within is None or bool(within)
