"""P9, the console part: how long lists and searches take among a thousand users, and among very many.

Whole pages of a real server, requested with the sessions of three administrators: one sees everything, one sees a third
of it, one sees a small branch. Pages are loaded one at a time, each several times: the result is the time of one page,
not of a queue.
"""

import http.client
import secrets
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from bench.population import BRANCH, PER_DEVICE, REGION, Population
from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.app.sessions.administrators import LONGEST_SECONDS, TOKEN_PREFIX, id_of
from sparekey.clock import now as clock_now
from sparekey.core.permissions import Actor
from sparekey.secret import Secret
from sparekey.server.web.cookies import SESSION
from sparekey.storage.people import accounts
from sparekey.storage.sessions import sessions as admin_sessions

LIMIT_MS = {"PostgreSQL": 100, "SQLite": 150}
_ACTOR = Actor.of_system("os:bench")
# who asks: the number of the user, the role and where it holds; 1 is in the branch, 3 and 4 are in the region
_VISITORS = (
    (3, "super administrator", TOP_DOMAIN),
    (4, "domain administrator", REGION),
    (1, "domain administrator", BRANCH),
)
_ROUNDS = 3


def pages_of(population: Population, domain: str) -> Iterator[str]:
    """Addresses of lists and searches, of what people type: short and long, common and rare, what is not there."""
    last, some = population.users - 1, population.users // 2
    first_name, last_name = population.name(some).split()
    texts = (
        "",
        "a",
        "an",
        "anna",
        last_name,
        f"{first_name} {last_name}",
        f"{last_name[:4]} a",
        f"user{some:07d}",
        "user",
        f"user{last:07d}"[:8],
        "zoe",
        "nobody",
        f"{first_name}.{last_name}".lower() + f".{some}@example.org",
    )
    for text in texts:
        yield f"users?text={quote(text)}"
        yield f"tokens?text={quote(text)}"
        yield f"search?for={quote(text or 'lap')}"
    for text in ("SK", f"sk{some:08d}"[:6], f"sk{last:08d}"):
        yield f"tokens?text={text}"
        yield f"search?for={text}"
    for state in ("enabled", "disabled", "locked"):
        yield f"users?state={state}"
        yield f"users?state={state}&text=an"
    for state in ("assigned", "unassigned", "lost", "expired"):
        yield f"tokens?state={state}"
        yield f"tokens?state={state}&text=an"
    for state in ("", "active", "revoked", "silent"):
        yield f"devices?state={state}"
        yield f"devices?state={state}&text=laptop-{last:07d}"[:-3]
    yield from _in_other_orders(population, domain, (first_name, last_name, "an", f"user{some:07d}"[:-2]))
    yield f"users?after=user{some:07d}"
    yield f"users?domain={quote(domain)}&text=an"
    yield f"tokens?after=SK{some:08d}"
    yield f"tokens?domain={quote(domain)}"


def _in_other_orders(population: Population, domain: str, texts: Sequence[str]) -> Iterator[str]:
    """Either way, from the first and from the middle, filtered by what is common and what is rare."""
    some = population.users // 2
    device = population.id("device", some // PER_DEVICE * PER_DEVICE)
    for order in ("-login", "name", "-name"):
        yield f"users?order={order}"
        yield f"users?order={order}&after=user{some:07d}"
        yield f"users?order={order}&state=disabled"
        yield f"users?order={order}&domain={quote(domain)}"
        for text in texts:
            yield f"users?order={order}&text={quote(text)}"
    for order in ("-serial", "expiry", "-expiry"):
        yield f"tokens?order={order}"
        yield f"tokens?order={order}&after=SK{some:08d}"
        for narrowed in ("state=lost", "state=expired", "type=totp", "text=SK0", f"domain={quote(domain)}", "text=an"):
            yield f"tokens?order={order}&{narrowed}"
    for order in ("-name", "contact", "-contact"):
        yield f"devices?order={order}"
        yield f"devices?order={order}&after={device}"
        for narrowed in ("state=active", "state=silent", "state=revoked", "text=laptop-00", f"domain={quote(domain)}"):
            yield f"devices?order={order}&{narrowed}"


def record_of(population: Population) -> Iterator[str]:
    """Addresses of the record, as an auditor reads it."""
    some = population.users // 2
    yield "audit"
    for name in (
        f"user=user{some:07d}",
        f"token=SK{some:08d}",
        "action=sign-in.denied",
        "action=policy.set",
        "action=sign-in.granted",
        "by=client:bench",
    ):
        yield f"audit?{name}"


def session_of(instance: Instance, population: Population, number: int, role: str, domain: str) -> Secret[str]:
    """A session of this user, who gets the role for it."""
    login, now = population.person(number).login, clock_now()
    roles.grant(instance, _ACTOR, role, HolderKind.USER, login, domain, now=now)
    token = Secret(TOKEN_PREFIX + secrets.token_hex(32))
    with instance.database.write() as connection:
        account = accounts.find_account(connection, login)
        if account is None:
            raise LookupError(f"the population has no user {login}")
        admin_sessions.insert_session(
            connection,
            id_of(instance.database.seals, token),
            account.id,
            now,
            now + LONGEST_SECONDS,
            method="tokencode",
            address="127.0.0.1",
        )
    return token


def seconds_of_pages(instance: Instance, population: Population, port: int) -> Sequence[float]:
    """Of every page, for each visitor; what a page takes at its first time is left out."""
    found: list[float] = []
    for number, role, domain in _VISITORS:
        token = session_of(instance, population, number, role, domain)
        one_domain = BRANCH if domain == BRANCH else "Domain 007"
        addresses = [*pages_of(population, one_domain), *(record_of(population) if domain == TOP_DOMAIN else ())]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Host": "localhost", "Cookie": f"{SESSION}={token.reveal()}"}
        for turn in range(1 + _ROUNDS):
            for address in addresses:
                begun = time.perf_counter()
                connection.request("GET", f"/console/{address}", headers=headers)
                reply = connection.getresponse()
                reply.read()
                found += [time.perf_counter() - begun] if turn else []
                if reply.status not in (200, 303):
                    raise RuntimeError(f"/console/{address} answered {reply.status}: the measurement means nothing")
        connection.close()
    return found


def p95(seconds: Sequence[float]) -> float:
    """In milliseconds."""
    return sorted(seconds)[int(len(seconds) * 0.95)] * 1_000
