"""A sign-in on this device: the server is asked first, and only where it is not reached the device judges alone.

- Offline events go up before the attempt, so that the server knows every step that was used here.
- The server's no is final: nothing of it is tried offline.
- The server may ask before it answers. What answers a question goes to the server alone: a new PIN is no passcode.
- A success erases every record up to its step before anybody is answered, behind a PIN lock too; so does what the
  server withholds. It is asked for that after each refusal, too, whoever has data here: time tells strangers nothing.
- Whoever comes over a network does not hear which accounts have no login: such a name takes the way of one that nobody
  has.
- Any error is a refusal.
"""

from dataclasses import replace

from sparekey import clock
from sparekey.agent.contact import replies as trusted_days
from sparekey.agent.contact.contact import take_word, upload_events, withhold_if_revoked
from sparekey.agent.contact.events import alarmed
from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.outcome import Ask, LoginAnswer, Mode, Reason, Refusal, Result, asked, refused, unreadable
from sparekey.agent.ground.ports import Distance, NotReached, Refused, Server, StoreUnreadable
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.sign_in.attempt import after_online_success
from sparekey.agent.sign_in.lock_changes import settle_online
from sparekey.agent.sign_in.offline import Login, device_sentence, login_offline
from sparekey.agent.store.device import Busy, Device
from sparekey.agent.store.erasing import days_left, emergency_ends
from sparekey.agent.store.wrapped_secrets import Session
from sparekey.sealed import check_of
from sparekey.secret import Secret
from sparekey.wire.agent_api import SignInReply, SignInRequest, SyncReply
from sparekey.wire.events import EventKind

SIGN_IN_PATIENCE = 3  # seconds in all, then the server was not reached
SYNC_PATIENCE = 3
_KNOWN = frozenset(Ask) - {Ask.NOTHING}
# In the place of an account's name and of what was typed, which may be a password; no login has a space (`core.names`).
_NOBODY, _NOTHING = " ", "0" * 10


def login(device: Device, account: str, typed: Secret[str], reply_to: str = "", *, from_afar: bool = False) -> Login:
    """One attempt of an account of this computer, from the typed text to the answer; or the answer to the question
    `reply_to`. `from_afar`: whoever typed it comes over a network. Never raises."""
    name = device.names.find_login(account)
    if name is None and not from_afar:
        return Login(refused(Refusal(Reason.NOT_MAPPED), Mode.NONE))
    try:
        with device.one_attempt():
            if name is None:
                return _refused_as_nobody(device)
            return _online_or_offline(device, name, typed, reply_to, from_afar=from_afar)
    except Busy:
        return Login(refused(Refusal(Reason.BUSY), Mode.NONE))
    except StoreUnreadable as error:
        return Login(unreadable(error.word, str(error)))
    except Exception as error:  # noqa: BLE001 -- S09: whatever happened, the answer is no
        log_unforeseen("a sign-in failed", error)
        return Login(refused(Refusal(Reason.INTERNAL), Mode.NONE))


def _refused_as_nobody(device: Device) -> Login:
    """Nobody gets in by this; what is true of the device whoever asks is said."""
    found = _online_or_offline(device, _NOBODY, Secret(_NOTHING), "", from_afar=True)
    answer = found.answer
    if answer.result in (Result.GRANTED, Result.ASK) or answer.reason in (Reason.WRONG_PASSCODE, Reason.NO_DATA):
        answer = refused(Refusal(Reason.NOT_MAPPED), answer.mode)
    return Login(answer, judged_alone_since=found.judged_alone_since)


def _online_or_offline(device: Device, name: str, typed: Secret[str], reply_to: str, *, from_afar: bool) -> Login:
    try:
        with device.connect() as server:
            return _login_online(device, server, name, typed, reply_to)
    except NotReached as error:
        if error.distance is Distance.TLS:
            _alarm(device)
        if reply_to:
            return Login(refused(Refusal(Reason.BROKEN_OFF), Mode.NONE))
        began = clock.monotonic()
        found = login_offline(device, name, typed, error.distance, from_afar=from_afar)
        return replace(found, judged_alone_since=began)
    except Refused as error:
        withhold_if_revoked(device, error)
        return Login(refused(Refusal(Reason.REFUSED), Mode.ONLINE, str(error)))


def _login_online(device: Device, server: Server, name: str, typed: Secret[str], reply_to: str) -> Login:
    server.allow(SIGN_IN_PATIENCE)
    upload_events(device, server)
    user = device.state.find_user(name)
    check = user.wrapped_check if user else ""
    reply = server.sign_in(SignInRequest(name, typed.reveal(), check, reply_to))
    if reply.result != Result.GRANTED:
        _take_word_if_heard(device, server)
        question = _question(reply)
        return Login(_denied_online(device, name, reply, reply_to) if question is None else question)
    session = _accept(device, name, reply)
    said = _take_word_if_heard(device, server)
    settle_online(device, reply, None if reply_to else typed, said)
    return Login(_granted_online(device, reply), session)


def _accept(device: Device, name: str, reply: SignInReply) -> Session | None:
    """Commits what the server's yes means here: time, counts, every record up to the step."""
    reading = device.clock.reading()
    key = _offline_key(reply)

    def change(state: State) -> State:
        state = trusted_days.after_contact(state, reading, reply.server_time)
        user = state.get_user(reply.user) if state.has_user(reply.user) else UserState(reply.user, name)
        token = reply.token if reply.method == "tokencode" else ""
        user = after_online_success(user, token, reply.step, reply.server_time)
        return state.with_user(replace(user, wrapped_check=reply.check) if key else user)

    device.store.change(change, always=True)
    return Session(device.store, reply.user, key) if key else None


def _offline_key(reply: SignInReply) -> Secret[bytes] | None:
    """The key that came along, if it is the one that its name says."""
    if not reply.offline_key:
        return None
    key = Secret(bytes.fromhex(reply.offline_key))
    return key if check_of(key).hex() == reply.check else None


def _take_word_if_heard(device: Device, server: Server) -> SyncReply | None:
    """What the server withholds is withheld before the answer; a yes or no that was given stands without it."""
    try:
        server.allow(SYNC_PATIENCE)
        return take_word(device, server)
    except NotReached:
        return None
    except Refused as error:
        withhold_if_revoked(device, error)
        return None


def _question(reply: SignInReply) -> LoginAnswer | None:
    """What the server asks; None where it asks nothing, or nothing that this agent knows."""
    if reply.result != Result.ASK or not reply.reply_to or reply.ask not in _KNOWN:
        return None
    return asked(Ask(reply.ask), reply.text, reply.reply_to)


def _denied_online(device: Device, name: str, reply: SignInReply, reply_to: str) -> LoginAnswer:
    misread = tuple(reply.misread)
    reason = Reason.ANSWER_REFUSED if reply_to else Reason.WRONG_PASSCODE
    refusal = Refusal(Reason.MISREAD if misread else reason, misread=misread)
    user = device.state.find_user(name)
    return refused(refusal, Mode.ONLINE, device_sentence(device.state, user) if user and misread else "")


def _granted_online(device: Device, reply: SignInReply) -> LoginAnswer:
    users = [user for user in device.state.users if user.user == reply.user]
    days = days_left(users[0], reply.server_time) if users else 0
    return LoginAnswer(
        Result.GRANTED,
        Mode.ONLINE,
        method=reply.method,
        days_left=days,
        emergency_expires=emergency_ends(users[0]) if users else 0,
        message="Signed in.",
    )


def _alarm(device: Device) -> None:
    """Somebody answered in the server's place."""
    now, reason = device.store.judged().time, "the server's certificate was not the enrolled CA's"
    device.store.change(lambda state: alarmed(state, device.store.keys.sign, EventKind.TLS_FAILURE, now, reason))
