"""A real server with people on it, and a real browser that looks at its pages.

Rules: the server is `sparekey serve` on http://localhost, where browsers allow what else only https has; the browser is
Debian's Chromium, driven by Playwright; whatever the browser reports against the page's policy, or as an error of a
script, fails the test.
"""

import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect

from sparekey.app.instance import TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.roles import HolderKind
from sparekey.clock import monotonic
from sparekey.clock import now as clock_now
from sparekey.core.permissions import SUPER_ADMINISTRATOR
from sparekey.secret import Secret
from sparekey.server.settings import read_settings
from sparekey.wiring.server import NewServer, create_server, open_instance
from tests.builders import LIGHT, PIN, ROOT, Device, User, a_device, a_user, edit_policy
from tests.server.serving import SPAREKEY, free_port

CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE = 30


@dataclass
class Site:
    """A running server; `instance` is the same database, for the test's own hands."""

    instance: Instance
    url: str
    used: dict[str, int] = field(default_factory=dict)  # the step that each token was last used at

    def passcode(self, user: User) -> str:
        """Return the user's current passcode. If it was used already, take the next one without waiting."""
        step = user.step(clock_now())
        last = self.used.get(user.serial, 0)
        step = max(step, last + 1)
        self.used[user.serial] = step
        return user.pin + user.totp.code(step)

    def person(self, login: str, role: str = SUPER_ADMINISTRATOR, domain: str = TOP_DOMAIN) -> User:
        """Create a user with a token and a PIN who holds this role in this domain."""
        user = a_user(self.instance, login, pin=PIN, domain=domain, now=clock_now() - 3_600)
        roles.grant(self.instance, ROOT, role, HolderKind.USER, login, domain, now=clock_now())
        return user

    def filled_device(self, user: User, name: str) -> Device:
        """Create a device that holds all possible units of the user."""
        device = a_device(self.instance, name, now=clock_now())
        now = clock_now()
        device.sign_in(user, now, Secret(self.passcode(user)))
        device.contact(user, now)
        device.report(now)
        return device


@contextmanager
def a_site(directory: Path, url: str = "") -> Iterator[Site]:
    """A new server in this directory, answering until the block ends."""
    data = directory / "data"
    create_server(data, NewServer(Secret(url)), ROOT, clock_now())
    instance = open_instance(data, read_settings(data, {}))
    edit_policy(instance, dict(LIGHT), now=clock_now())
    port, log = free_port(), directory / "serve.log"
    variables = {**os.environ, "SPAREKEY_TLS": "off", "SPAREKEY_REFUSAL_FLOOR_MS": "20"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(SPAREKEY), "--data", str(data), "serve", "--listen", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=variables,
        )
    try:
        _wait(process, port, log)
        yield Site(instance, f"http://localhost:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_PATIENCE)
        instance.database.close()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    patience, pause = monotonic() + _PATIENCE, threading.Event()
    while not _answers(port):
        assert process.poll() is None, log.read_text()[-3000:]
        assert monotonic() < patience, log.read_text()[-3000:]
        pause.wait(0.05)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def launch(playwright: Playwright, *flags: str) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])


@dataclass
class Visitor:
    """A person at a browser of their own."""

    site: Site
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)  # of the browser: scripts that failed, policies broken

    def hear(self, said: ConsoleMessage) -> None:
        """Collect the browser's complaints. A refused page is not one."""
        if said.type == "error" and "status of 4" not in said.text:
            self.complaints.append(said.text)

    def go(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def sign_in(self, user: User, to: str = "/console") -> Page:
        """Sign in at the console's page, and go on to this page."""
        page = self.go(to)
        page.get_by_label("User name").fill(user.login)
        page.get_by_label("Passcode").fill(self.site.passcode(user))
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page


def visitor(site: Site, browser: Browser, *, dark: bool = False, width: int = 1280, script: bool = True) -> Visitor:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        timezone_id="Europe/Berlin",
        locale="en-GB",
    )
    found = Visitor(site, context, context.new_page())
    found.page.on("pageerror", lambda error: found.complaints.append(f"script: {error}"))
    found.page.on("console", found.hear)
    return found
