"""A real server over TLS, a real agent on a device of its own, and a browser that trusts the server's certificate.

Rules: server and agent live under the story's faked clock, so the browser takes the certificate by its key, whatever
the time; passcodes are what the token shows on that clock.
"""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import Browser, Page, Playwright, expect

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from tests.browser.rig import launch
from tests.builders import PIN, ROOT, User, a_user
from tests.journeys.site import Site, a_site


@dataclass
class Desk:
    """A help-desk operator at a browser, with a site whose device can be cut off."""

    site: Site
    operator: User
    page: Page
    clicks: list[str] = field(default_factory=list)

    def click(self, name: str, role: str = "link", *, exact: bool = False) -> None:
        """Click and count. `exact`: the name is the whole name."""
        self.clicks.append(name)
        self.page.get_by_role(role, name=name, exact=exact).click()  # type: ignore[arg-type] # a role of ARIA

    def sign_in(self) -> None:
        self.site.next_interval()
        page = self.page
        page.goto(f"https://localhost:{self.site.port}/console")
        page.get_by_label("User name").fill(self.operator.login)
        page.get_by_label("Passcode").fill(self.operator.typed(self.site.now).reveal())
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def trusting(playwright: Playwright, port: int) -> Browser:
    """A browser that takes the certificate of the server on this port of loopback, and no other unknown one."""
    certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", port)).encode())
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return launch(playwright, f"--ignore-certificate-errors-spki-list={pin}")


@contextmanager
def an_enrolled_site(directory: Path) -> Iterator[tuple[Site, User]]:
    """Yield a site whose device holds Alice's days and codes, and a help-desk operator."""
    with a_site(directory) as site:
        hedy = a_user(site.instance, "hedy", pin=PIN, now=site.now)
        roles.grant(site.instance, ROOT, "help desk", HolderKind.USER, "hedy", TOP_DOMAIN, now=site.now)
        site.enroll()
        site.login(site.passcode(), mode="online")
        yield site, hedy
