"""S65 with real processes, at log level debug, while things go wrong: no secret is where it does not belong.

Searched are every file that servers and agents left behind, logs included, and every word that a command or a reply
said. A code that an operator asked for may be on the standard output of that one command.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select, text

from sparekey.app.offline import keys as offline_keys
from sparekey.app.snapshots import token_state
from sparekey.storage import tables
from sparekey.storage.devices import devices as stored_devices
from sparekey.storage.sealed_rows import update_rows
from sparekey.storage.sign_in.statements import find_sign_in_account
from sparekey.wire.enrolment import read_enrolment_code
from tests.journeys.canaries import files_below, found_in, found_in_files
from tests.journeys.raw_requests import Raw, at_the_agent_interface, at_the_rest_interface, send
from tests.journeys.site import DEVICE, Site, a_site, read_state, read_store
from tools.story.stage import Server

pytestmark = pytest.mark.services

PIN = "Qz7Xk4Vw"  # long and mixed: found nowhere by chance
NEW_PIN = "uB9mRt2e"
SHOWING = ("emergency show", "emergency passcode show", "client add", "device invite")


@dataclass
class Run:
    """One site, its secrets, and the recipients of its answers."""

    site: Site
    canaries: dict[str, bytes] = field(default_factory=dict, repr=False)
    replies: list[bytes] = field(default_factory=list, repr=False)
    key: str = field(default="", repr=False)
    daemon: Server | None = None

    def keep(self, name: str, secret: str | bytes) -> str:
        """Treat this as a secret from now on. Codes are searched with and without their dashes."""
        data = secret if isinstance(secret, bytes) else secret.encode()
        self.canaries[name] = data
        if b"-" in data and len(data) < 50:
            self.canaries[f"{name}, typed together"] = data.replace(b"-", b"")
        return data.decode("latin-1")

    def send(self, raw: Raw) -> bytes:
        self.replies.append(send(self.site.port, raw))
        return self.replies[-1]

    def ask(self, login: str, typed: str) -> bytes:
        """A program's challenge, well formed."""
        body = f'{{"user":"{login}","passcode":"{typed}"}}'.encode()
        return self.send(Raw("/v1/sign-ins", body, {"Authorization": f"Bearer {self.key}"}))


def test_s65_no_secret_is_where_it_does_not_belong(tmp_path: Path) -> None:
    with a_site(tmp_path, pin=PIN, variables={"SPAREKEY_LOG_LEVEL": "debug"}) as site:
        run = Run(site)
        with_everything_secret(run)
        guesses_and_slips(run)
        requests_that_are_wrong(run)
        a_server_that_fails(run)
        a_device_that_fails(run)
        site.stage.sparekey("audit", "list", "--limit", "100000")
        things_went_wrong_and_were_logged(run)
        assert found_in_answers(run) == {}
        assert found_in_files(files_below(tmp_path), run.canaries) == {}


def with_everything_secret(run: Run) -> None:
    """A whole run in which nothing fails; each secret is noted as it comes up."""
    site, stage = run.site, run.site.stage
    with site.instance.database.write() as connection:  # her notices wait in the database, which is searched
        update_rows(connection, tables.account, [], {"mail": "alice@example.org"})
    run.keep("seed", site.alice.totp.seed.reveal())
    run.keep("PIN", PIN)
    run.keep("new PIN", NEW_PIN)
    run.key = run.keep("API client key", stage.sparekey("client", "add", "web").data["key"])
    invited = stage.sparekey("device", "invite", DEVICE).data["code"]
    run.keep("enrolment code", invited)
    run.keep("enrolment secret", read_enrolment_code(invited).secret.reveal())
    stage.agent("enroll", "--server", site.address, "--code", "-", typed=invited + "\n")
    run.daemon = Server(stage.start_daemon(), 0, stage.directory / "agent.log")
    site.login(site.passcode(), mode="online")
    tokencode = stage.sparekey("emergency", "show", site.alice.serial, "--caller", "badge").data["code"]
    run.keep("emergency tokencode", tokencode)
    passcode = stage.sparekey("emergency", "passcode", "show", "alice", "--caller", "badge").data["code"]
    run.keep("emergency passcode", passcode)
    with site.instance.database.read() as connection:
        found = find_sign_in_account(connection, "alice")
        assert found is not None
        pin = token_state(site.instance.vault, found.tokens[0]).pin
        assert pin is not None
        run.keep("P", pin.verifier.reveal())
        (held,) = stored_devices.accounts_on_device(connection, read_state(site.state_directory).enrolment.device)
        run.keep("offline key", offline_keys.current_key(site.instance, held).reveal())
    site.next_interval()
    assert b"granted" in run.ask("alice", site.passcode())
    for part in read_store(site.state_directory)[1:]:
        assert found_in(b"".join(part) if isinstance(part, list) else part, run.canaries) == set()


def guesses_and_slips(run: Run) -> None:
    """Type wrong codes, and texts that people type into the wrong field."""
    site, tokencode = run.site, run.canaries["emergency tokencode"].decode()
    site.login(site.wrong_passcode(), "denied")
    site.login(PIN, "denied")
    site.login(PIN + tokencode, "denied", "online")  # not allowed online
    site.login(PIN + "7" + tokencode[1:], "denied", "online")
    site.login(site.passcode(), "denied", "online", user=PIN)
    site.login(f"{PIN}\N{SNOWMAN}\t{tokencode}", "denied")
    for login in (PIN, site.passcode(), tokencode, NEW_PIN):
        assert b"denied" in run.ask(login, site.passcode())
    for typed in (PIN, tokencode, site.wrong_passcode(), site.passcode() + "\\u0000"):
        assert b"denied" in run.ask("alice", typed)
    site.stage.sparekey("user", "unlock", "alice")
    site.stage.sparekey("token", "add", "--user", "alice", "--seed-stdin", typed=PIN + "!", fails=True)
    site.stage.sparekey("token", "set-pin", site.alice.serial, typed=f"{PIN}-{NEW_PIN}\n", fails=True)
    site.stage.agent("enroll", "--server", site.address, "--code", "-", typed=PIN + tokencode, fails=True)


def requests_that_are_wrong(run: Run) -> None:
    site = run.site
    device = read_state(site.state_directory).enrolment.device
    secret = run.canaries["enrolment secret"].hex()
    for raw in (
        *at_the_rest_interface(run.key, "alice", site.passcode(), PIN),
        *at_the_agent_interface(device, "alice", site.passcode(), PIN, secret),
    ):
        assert b"granted" not in run.send(raw)


def a_server_that_fails(run: Run) -> None:
    """Cause failures: an audit log that cannot be written, a missing table, an altered seed, missing keys."""
    site, stage = run.site, run.site.stage
    stage.sparekey("user", "unlock", "alice")
    site.next_interval()
    with broken(
        site,
        "CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'not written'); END",
        "DROP TRIGGER broken",
    ):
        attempts_of_all_kinds(run)
        shown = stage.sparekey("emergency", "show", site.alice.serial, "--caller", "badge", fails=True)
        assert "code" not in shown.data
        stage.sparekey("client", "add", "other", fails=True)
        stage.sparekey("token", "set-pin", site.alice.serial, typed=NEW_PIN + "\n", fails=True)
    with broken(site, "ALTER TABLE token RENAME TO gone", "ALTER TABLE gone RENAME TO token"):
        attempts_of_all_kinds(run)
        stage.sparekey("token", "set-pin", site.alice.serial, typed=NEW_PIN + "\n", fails=True)
    sealed = stored_seed(site)
    store_seed(site, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    attempts_of_all_kinds(run)
    store_seed(site, sealed)
    keys = stage.server_data / "keys"
    keys.rename(keys.with_name("aside"))
    stage.sparekey("token", "set-pin", site.alice.serial, typed=NEW_PIN + "\n", fails=True)
    keys.with_name("aside").rename(keys)
    assert b"granted" in run.ask("alice", site.passcode())


def attempts_of_all_kinds(run: Run) -> None:
    """Make attempts of all kinds; each is refused."""
    site = run.site
    for typed in (site.passcode(), site.wrong_passcode(), PIN + run.canaries["emergency tokencode"].decode()):
        assert b"granted" not in run.ask("alice", typed)
    site.attempt(site.passcode(), user=NEW_PIN, fails=True)


def a_device_that_fails(run: Run) -> None:
    """Cause failures: a store that cannot be written, units cut short, a damaged state."""
    site = run.site
    emergency = PIN + run.canaries["emergency tokencode"].decode()
    site.cable.unplug()
    in_the_way = site.state_directory / "state.new"
    in_the_way.mkdir()
    for typed in (site.passcode(), site.wrong_passcode(), emergency):
        assert site.login(typed, "denied")["reason"] == "internal-error"
    in_the_way.rmdir()
    site.login(site.wrong_passcode(), "denied", "offline")
    for unit in (site.state_directory / "units").iterdir():
        unit.write_bytes(unit.read_bytes()[: unit.stat().st_size // 2])
    for typed in (site.passcode(), emergency):
        # The daemon gives up a damaged unit when a record in it has expired, which may be between two attempts.
        assert site.login(typed, "unavailable", "offline")["reason"] in ("store-damaged", "data-run-out")
    assert run.daemon is not None
    site.stage.stop_server(run.daemon)  # it would write the state that it has in memory over the damaged one
    state = site.state_directory / "state"
    whole_state = state.read_bytes()
    state.write_bytes(whole_state[:-1] + bytes([whole_state[-1] ^ 1]))
    assert site.login(site.passcode(), "unavailable")["reason"] == "store-damaged"


@contextmanager
def broken(site: Site, breaking: str, mending: str) -> Iterator[None]:
    """The server's database, behind its back."""
    execute(site, breaking)
    yield
    execute(site, mending)


def execute(site: Site, statement: str) -> None:
    with site.instance.database.write() as connection:
        connection.execute(text(statement))


def stored_seed(site: Site) -> bytes:
    """Return the seed as the database holds it, sealed."""
    with site.instance.database.read() as connection:
        return bytes(connection.execute(select(tables.token.c.seed_sealed)).scalar_one())


def store_seed(site: Site, sealed: bytes) -> None:
    with site.instance.database.write() as connection:
        update_rows(connection, tables.token, [], {"seed_sealed": sealed})


def found_in_answers(run: Run) -> dict[str, set[str]]:
    """Search replies and outputs of commands. A code that an operator asked for may be on that standard output."""
    findings = {}
    for number, reply in enumerate(run.replies):
        findings[f"reply {number}"] = found_in(reply, run.canaries)
    for number, (command, answer) in enumerate(run.site.stage.answers):
        is_asked_for = answer.code == 0 and any(f" {words}" in command for words in SHOWING)
        said = answer.words if is_asked_for else answer.words + answer.output
        findings[f"{number} {command}"] = found_in(said.encode(), run.canaries)
    return {where: found for where, found in findings.items() if found}


def things_went_wrong_and_were_logged(run: Run) -> None:
    """Check that the logs are not empty, and that the search finds a code that was shown."""
    directory, stage = run.site.stage.directory, run.site.stage
    server_log = (directory / f"server-{run.site.port}.log").read_text()
    agent_log = (directory / "agent.log").read_text()
    for words in ("unforeseen error", "OperationalError", "IntegrityError", "VaultError", "Started server"):
        assert words in server_log
    assert "a sign-in failed" in agent_log
    said = [server_log, agent_log, *(answer.words for _, answer in stage.answers)]
    assert [words for words in said if "Traceback" in words] == []
    shown = "".join(answer.output for command, answer in stage.answers if "emergency show" in command)
    assert found_in(shown.encode(), run.canaries)
    audit_log = next(answer.output for command, answer in reversed(stage.answers) if "audit list" in command)
    assert audit_log.count("sign-in.denied") > 10  # refusals of unknown names are one event a minute
