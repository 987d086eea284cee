"""The acts of the story, in order. Each act does what a person would do, and checks the result."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sparekey.core.plurals import counted
from tools.story.cable import Cable
from tools.story.people import Token, misread, new_token, other, scanned
from tools.story.stage import Answer, Server, Stage, expect, free_port

PIN = "2580"
WRONG_PIN = "2581"
DEVICE = "alice-laptop"
POLICY = "Field offline"
EVENING = 22  # o'clock of the next day, UTC: two hours of that day are left to seal


@dataclass
class Story:
    """The state of the story. Codes are kept only for as long as their caller would remember them."""

    stage: Stage
    days: int = 2  # that the laptop gets ahead: more are more to seal, and change nothing else
    interval: int = 30  # of the tokens, in seconds: 30 or 60, which is half as much to seal
    server: Server | None = None
    cable: Cable | None = None
    port: int = 0
    alice: Token = field(init=False)
    bob: Token = field(init=False)
    alice_serial: str = ""
    bob_serial: str = ""
    code: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.alice = new_token(self.interval)

    def begin(self) -> None:
        """It is ten in the evening of the next day, so that the clock can only go forward."""
        evening = datetime.fromtimestamp(self.stage.time.now(), UTC) + timedelta(days=1)
        self.stage.time.set(evening.replace(hour=EVENING, minute=0, second=0, microsecond=0))

    def passcode(self, *, ago: int = 0) -> str:
        """Alice's PIN and what her token shows now, or showed `ago` seconds ago."""
        return PIN + self.alice.code(self.stage.time.now() - ago)

    def next_interval(self) -> None:
        """An interval goes by: the token shows another code."""
        self.stage.time.advance(self.interval)

    def login(self, user: str, typed: str, result: str = "granted", mode: str = "") -> Any:
        """A sign-in on the device; what it answered."""
        answer = self.stage.agent("login", user, typed=typed + "\n", fails=result != "granted").data
        expect(answer["result"] == result, f"{result} for {user}", answer)
        expect(not mode or answer["mode"] == mode, mode, answer)
        return answer

    def failures(self, user: str = "alice") -> int:
        """Failed attempts that the device has counted."""
        return int(self.device_user(user)["failures"])

    def device_user(self, login: str) -> Any:
        users = self.stage.agent("status").data["users"]
        return next(user for user in users if user["login"] == login)

    def held_version(self, serial: str) -> int:
        """The version of the emergency tokencode that the device holds, as the server knows it."""
        rows = self.stage.sparekey("emergency", "held", serial).data["held"]
        return int(next(row for row in rows if row["device"] == DEVICE)["version"])

    def say(self, text: str) -> None:
        self.stage.say(text)


def act_1_a_server(story: Story) -> None:
    """A server, a policy, Alice with PIN and token, Bob with an authenticator app."""
    stage = story.stage
    story.begin()
    stage.sparekey("init")
    story.say("$ sparekey init                   keys, a CA of its own, an empty SQLite database")
    story.port = free_port()
    story.server = stage.start_server(story.port)
    story.say(f"$ sparekey serve                  https://localhost:{story.port}")
    stage.sparekey("domain", "add", "Field")
    stage.sparekey(
        "policy",
        "offline",
        "add",
        POLICY,
        f"days={story.days}",
        "offline_failures=3",
        "protection_level=balanced",
        "allow_tokens_without_pin=on",
        "help_text=Help desk: 555 0100",
    )
    stage.sparekey("policy", "offline", "assign", POLICY, "--domain", "Field")
    ahead = counted(story.days, "day")
    story.say(f"$ sparekey policy offline add ... {ahead} ahead, 3 failures, level balanced; for the domain Field")
    for login in ("alice", "bob"):
        stage.sparekey("user", "add", login, "--domain", "Field")
    steps = ("--interval", str(story.interval))
    added = stage.sparekey("token", "add", "--user", "alice", "--seed-stdin", *steps, typed=story.alice.seed_hex).data
    story.alice_serial = added["serial"]
    stage.sparekey("token", "set-pin", story.alice_serial, typed=PIN + "\n")
    story.say(f"  Alice has token {story.alice_serial} and a PIN: she types PIN + tokencode")
    without_pin = (*steps, "--digits", "8", "--no-pin", "--show-seed", "--qr")
    app = stage.sparekey("token", "add", "--user", "bob", *without_pin).data
    story.bob, story.bob_serial = scanned(app["otpauth"]), app["serial"]
    story.say(f"  Bob scanned a QR code into his app ({story.bob_serial}): 8 digits, no PIN")


def act_2_online(story: Story) -> None:
    """The device enrols and signs in online. It downloads offline data and emergency codes."""
    stage = story.stage
    story.cable = stage.lay_cable(story.port)
    address = f"https://localhost:{story.cable.port}"
    elsewhere = stage.directory / "another-server"
    stage.sparekey("init", data=elsewhere)
    foreign = stage.sparekey("device", "invite", DEVICE, data=elsewhere).data["code"]
    refused = stage.agent("enroll", "--server", address, "--code", "-", typed=foreign + "\n", fails=True)
    expect(refused.data["error"] == "bad-code", "a refusal of the other CA", refused.data)
    story.say("  a code for another CA:           refused, and its secret was not sent")
    code = stage.sparekey("device", "invite", DEVICE, "--domain", "Field").data["code"]
    stage.agent("enroll", "--server", address, "--code", "-", typed=code + "\n")
    story.say(f"$ sparekey-agent enroll           {DEVICE} is enrolled")
    stage.start_daemon()
    stage.follow_login("alice", story.passcode())
    held = story.device_user("alice")
    expect(held["days_left"] >= story.days, "whole days of offline data", held)
    expect(
        {code["kind"] for code in held["emergency_codes"]} == {"emergency-tokencode", "emergency-passcode"},
        "both emergency codes on the device",
        held,
    )
    story.say(f"  Alice is signed in online. On the laptop: {held['days_left']} days, emergency tokencode and passcode")
    stage.follow_login("bob", story.bob.code(stage.time.now()))
    story.say("  Bob is signed in with his app's code alone")


def act_3_offline(story: Story) -> None:
    """The server is stopped. The token still signs in; nothing else does."""
    stage = story.stage
    if story.server is not None:
        stage.stop_server(story.server)
    story.say("  the server is stopped")
    story.next_interval()
    used = story.passcode()
    answer = story.login("alice", used, mode="offline")
    story.say(f'  PIN + tokencode:                 granted, offline. "{answer["message"]}"')
    story.login("alice", used, "denied", "offline")
    story.say("  the same passcode again:         refused")
    story.login("alice", WRONG_PIN + story.passcode()[len(PIN) :], "denied")
    story.say("  a wrong PIN:                     refused")
    story.next_interval()
    story.login("alice", story.passcode())
    story.next_interval()
    story.login("alice", PIN + other(story.alice.code(stage.time.now())), "denied")
    story.say("  a wrong code:                    refused")
    story.login("alice", story.passcode(ago=600), "denied")
    story.say("  the code of ten minutes ago:     refused")
    story.login("alice", story.passcode())
    expect(story.failures() == 0, "a success to clear the count", story.failures())


def act_4_token_lost(story: Story) -> None:
    """The help desk reads out the code that this laptop holds."""
    stage = story.stage
    if story.cable is not None:
        story.cable.unplug()
    story.server = stage.start_server(story.port)
    story.say("  the server is up, but the laptop is on a train and the token at home. Alice calls the help desk")
    stage.sparekey("token", "lost", story.alice_serial)
    shown = _show(story, story.alice_serial)
    story.code = shown["code"]
    story.login("alice", PIN + story.code, mode="offline")
    story.say("  PIN + code:                      granted, offline")
    story.login("alice", story.code, "denied")
    story.say("  the code without the PIN:        refused")
    before = story.failures()
    heard = story.login("alice", PIN + misread(story.code, 2), "denied")
    expect(heard["misread"] == [2] and story.failures() == before, "group 2 to be named, and nothing counted", heard)
    story.say(f'  one letter misheard:             "{heard["message"]}"')
    bobs = _show(story, story.bob_serial)
    story.login("bob", bobs["code"], mode="offline")
    story.say("  Bob, whose phone is lost, too:   granted with his code alone")
    passcode = stage.sparekey(
        "emergency", "passcode", "show", "alice", "--device", DEVICE, "--caller", "called back"
    ).data
    story.login("alice", passcode["code"].lower(), mode="offline")
    story.say("  Alice forgot her PIN as well:    granted with the emergency passcode, typed in lower case")


def _show(story: Story, serial: str) -> Any:
    stage = story.stage
    shown = stage.sparekey("emergency", "show", serial, "--device", DEVICE, "--caller", "called back").data
    story.say(f"$ sparekey emergency show {serial} --device {DEVICE} --caller 'called back'")
    story.say(f"    {shown['code']}   version {shown['version']}, works until {shown['expires']}")
    for group, words in zip(shown["code"].split("-"), shown["spelling"], strict=True):
        story.say(f"    {group}  {' '.join(words)}")
    return shown


def act_5_blocked(story: Story) -> None:
    """After too many failures, only an emergency code helps, and it helps at once."""
    for _ in range(3):
        story.login("alice", PIN + other(story.alice.code(story.stage.time.now())), "denied")
    story.next_interval()
    refused = story.login("alice", story.passcode(), "denied")
    expect(refused["reason"] == "emergency-code-needed", "the reason", refused)
    story.say(f'  after three failures, even the correct passcode: refused. "{refused["message"]}"')
    story.login("alice", PIN + story.code, mode="offline")
    expect(story.failures() == 0, "the block to be gone", story.failures())
    story.say("  PIN + emergency code:            granted, and the block is cleared")


def act_6_back_online(story: Story) -> None:
    """The offline events are uploaded. The code is replaced when the token is back."""
    stage, serial = story.stage, story.alice_serial
    if story.cable is not None:
        story.cable.plug()
    stage.agent("sync")
    history = stage.sparekey("emergency", "history", serial).data["history"]
    uses = [row for row in history if row["action"] == "emergency.used"]
    expect(bool(uses) and all(row["detail"].get("showing") for row in uses), "each use matched to a showing", uses)
    story.say(f"  the laptop is online again: {len(uses)} uses of the code, each matched to its operator")
    stage.sparekey("emergency", "online", serial, "--on")
    for _ in range(2):
        story.login("alice", PIN + story.code, mode="online")
    expect(story.held_version(serial) == 1, "the same code still on the device", story.held_version(serial))
    story.say("$ sparekey emergency online --on  PIN + code now works online, too: granted twice, with the same code")
    stage.sparekey("token", "found", serial)
    story.next_interval()
    story.login("alice", story.passcode(), mode="online")
    expect(story.held_version(serial) == 2, "a new code once the token is back", story.held_version(serial))
    story.say("  Alice has her token back and signs in with it: the code is replaced (version 2)")
    old = story.login("alice", PIN + story.code, "denied")
    expect(old["mode"] == "online", "the server to refuse the old code", old)
    story.code = _show(story, serial)["code"]
    stage.sparekey("emergency", "reset", serial)
    stage.agent("sync")
    expect(story.held_version(serial) == 2, "no reset by a contact in the background", story.held_version(serial))
    story.say("$ sparekey emergency reset        a contact in the background brings no new code yet")
    story.login("alice", PIN + story.code, mode="online")
    expect(story.held_version(serial) == 3, "the reset code with the next sign-in", story.held_version(serial))
    story.say("  the next online sign-in, here with the old code, brings the new code (version 3)")
    stage.wait_for_checkpoint()
    verified = stage.sparekey("audit", "verify").data
    expect(verified["whole"], "a complete and unchanged audit log", verified["findings"])
    story.say("$ sparekey audit verify           the audit log is complete and unchanged")


def act_7_postgresql(story: Story) -> None:
    """PostgreSQL 17 and two servers: each gives the same answers."""
    from tools.postgresql import PostgresqlServer  # noqa: PLC0415 -- a first look does without PostgreSQL

    stage = story.stage
    database = PostgresqlServer()
    database.start()
    stage.call_at_end(database.stop)
    data, state = stage.directory / "pair", stage.directory / "carols-desktop"
    stage.sparekey("init", "--database", "-", typed=database.create_database() + "\n", data=data)
    ports = (free_port(), free_port())
    servers = [stage.start_server(port, data) for port in ports]
    story.say(f"$ sparekey init --database -      PostgreSQL 17; two servers: ports {ports[0]} and {ports[1]}")
    cable = stage.lay_cable(ports[0])
    carol = new_token()
    stage.sparekey("policy", "offline", "set", "Default", "days=1", "protection_level=light", data=data)
    stage.sparekey("user", "add", "carol", "--domain", "SystemDomain", data=data)
    serial = stage.sparekey("token", "add", "--user", "carol", "--seed-stdin", typed=carol.seed_hex, data=data).data[
        "serial"
    ]
    stage.sparekey("token", "set-pin", serial, typed=PIN + "\n", data=data)
    code = stage.sparekey("device", "invite", "carols-desktop", data=data).data["code"]
    address = f"https://localhost:{cable.port}"
    stage.agent("enroll", "--server", address, "--code", "-", typed=code + "\n", state=state)

    def sign_in(typed: str) -> Answer:
        return stage.agent("login", "carol", typed=typed + "\n", state=state)

    sign_in(PIN + carol.code(stage.time.now()))
    story.say("  Carol signs in online through the first server")
    shown = stage.sparekey("emergency", "show", serial, "--caller", "badge", data=data).data
    stage.sparekey("emergency", "online", serial, "--on", data=data)
    stage.sparekey("emergency", "reset", serial, data=data)
    cable.lead_to(ports[1])
    answer = sign_in(PIN + shown["code"]).data
    expect(answer["mode"] == "online", "an online sign-in through the second server", answer)
    held = stage.sparekey("emergency", "held", serial, data=data).data["held"]
    expect(held[0]["version"] == 2, "the reset code through the second server", held)
    story.say("  her code is shown and reset; through the second server she signs in with it and gets the new one")
    cable.lead_to(ports[0])
    story.next_interval()
    sign_in(PIN + carol.code(stage.time.now()))
    story.say("  she signs in through the first server again, with her token")
    stage.wait_for_checkpoint()
    verified = stage.sparekey("audit", "verify", data=data).data
    expect(verified["whole"], "a complete and unchanged audit log", verified["findings"])
    story.say("$ sparekey audit verify           the audit log is complete and unchanged")
    for server in servers:
        stage.stop_server(server)


ACTS = (act_1_a_server, act_2_online, act_3_offline, act_4_token_lost, act_5_blocked, act_6_back_online)
