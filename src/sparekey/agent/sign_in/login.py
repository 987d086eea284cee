"""A sign-in on this device: the server decides. Only if the server is not reached does the device decide alone.

- Offline events are uploaded before the attempt, so that the server knows every step that was used here.
- A refusal by the server is final: nothing is tried offline after it.
- The server can send a challenge before it decides. The answer goes to the server only: a new PIN is no passcode.
- A success erases every record up to its step before the answer, also behind a PIN lock. Data that the server withholds
  are erased before the answer, too.
- After each refusal the device asks the server what is withheld, for users with and without data here. So the time of
  an answer tells a stranger nothing.
- Remote users do not learn which accounts have no login: such an account is tried like a login that does not exist.
- Any error is a refusal.
"""

from dataclasses import replace

from sparekey import clock
from sparekey.agent.contact import replies
from sparekey.agent.contact.contact import sync, upload_events, withhold_if_revoked
from sparekey.agent.contact.events import alarmed
from sparekey.agent.ground.journal import log_unforeseen
from sparekey.agent.ground.outcome import (
    LoginAnswer,
    Mode,
    Prompt,
    Refusal,
    RefusalReason,
    Result,
    asked,
    refused,
    unreadable,
)
from sparekey.agent.ground.ports import AgentApi, Distance, NotReached, Refused, StoreUnreadable
from sparekey.agent.ground.state import State, UserState
from sparekey.agent.sign_in.attempt import after_online_success
from sparekey.agent.sign_in.lock_changes import update_lock
from sparekey.agent.sign_in.offline import LoginOutcome, device_sentence, login_offline
from sparekey.agent.store.device import AttemptInProgress, ThisDevice
from sparekey.agent.store.erasing import days_left, emergency_ends
from sparekey.agent.store.wrapped_secrets import UnlockedSecrets
from sparekey.sealed import check_of
from sparekey.secret import Secret
from sparekey.wire.agent_api import SignInReply, SignInRequest, SyncReply
from sparekey.wire.events import EventKind

SIGN_IN_PATIENCE = 3  # seconds in all; after them the server counts as not reached
SYNC_PATIENCE = 3
_KNOWN = frozenset(Prompt) - {Prompt.NOTHING}
# They replace the account and the text, which may be a password. No login has a space (`core.names`).
_NO_LOGIN, _NO_PASSCODE = " ", "0" * 10


def login(
    device: ThisDevice, account: str, passcode: Secret[str], reply_to: str = "", *, remote: bool = False
) -> LoginOutcome:
    """Sign in an account of this computer with a passcode and return the outcome.

    With `reply_to`, the text is the answer to that challenge of the server. `remote` is True if the user comes over a
    network. Never raises.
    """
    name = device.names.find_login(account)
    if name is None and not remote:
        return LoginOutcome(refused(Refusal(RefusalReason.NOT_MAPPED), Mode.NONE))
    try:
        with device.one_attempt():
            if name is None:
                return _refuse_unknown_account(device)
            return _online_or_offline(device, name, passcode, reply_to, remote=remote)
    except AttemptInProgress:
        return LoginOutcome(refused(Refusal(RefusalReason.BUSY), Mode.NONE))
    except StoreUnreadable as error:
        return LoginOutcome(unreadable(error.word, str(error)))
    except Exception as error:  # noqa: BLE001 -- S09: any error is a refusal
        log_unforeseen("a sign-in failed", error)
        return LoginOutcome(refused(Refusal(RefusalReason.INTERNAL), Mode.NONE))


def _refuse_unknown_account(device: ThisDevice) -> LoginOutcome:
    """Refuse an account without a login, in the time that a real attempt takes. The answer may still give a reason that
    is true of the device for every user."""
    found = _online_or_offline(device, _NO_LOGIN, Secret(_NO_PASSCODE), "", remote=True)
    answer = found.answer
    if answer.result in (Result.GRANTED, Result.ASK) or answer.reason in (
        RefusalReason.WRONG_PASSCODE,
        RefusalReason.NO_DATA,
    ):
        answer = refused(Refusal(RefusalReason.NOT_MAPPED), answer.mode)
    return LoginOutcome(answer, decided_offline_since=found.decided_offline_since)


def _online_or_offline(
    device: ThisDevice, name: str, passcode: Secret[str], reply_to: str, *, remote: bool
) -> LoginOutcome:
    try:
        with device.connect() as server:
            return _login_online(device, server, name, passcode, reply_to)
    except NotReached as error:
        if error.distance is Distance.TLS:
            _log_tls_failure(device)
        if reply_to:
            return LoginOutcome(refused(Refusal(RefusalReason.BROKEN_OFF), Mode.NONE))
        began = clock.monotonic()
        found = login_offline(device, name, passcode, error.distance, remote=remote)
        return replace(found, decided_offline_since=began)
    except Refused as error:
        withhold_if_revoked(device, error)
        return LoginOutcome(refused(Refusal(RefusalReason.REFUSED), Mode.ONLINE, str(error)))


def _login_online(
    device: ThisDevice, server: AgentApi, name: str, passcode: Secret[str], reply_to: str
) -> LoginOutcome:
    server.allow(SIGN_IN_PATIENCE)
    upload_events(device, server)
    user = device.state.find_user(name)
    check = user.wrapped_check if user else ""
    reply = server.sign_in(SignInRequest(login=name, passcode=passcode.reveal(), check=check, reply_to=reply_to))
    if reply.result != Result.GRANTED:
        _sync_if_reached(device, server)
        challenge = _challenge(reply)
        return LoginOutcome(_denied_online(device, name, reply, reply_to) if challenge is None else challenge)
    session = _accept(device, name, reply)
    sync_reply = _sync_if_reached(device, server)
    update_lock(device, reply, None if reply_to else passcode, sync_reply)
    return LoginOutcome(_granted_online(device, reply), session)


def _challenge(reply: SignInReply) -> LoginAnswer | None:
    """Return the server's challenge; None if there is none, or none that this agent knows."""
    if reply.result != Result.ASK or not reply.reply_to or reply.ask not in _KNOWN:
        return None
    return asked(Prompt(reply.ask), reply.text, reply.reply_to)


def _accept(device: ThisDevice, name: str, reply: SignInReply) -> UnlockedSecrets | None:
    """Commit a success at the server: time, counts, and the erasure of every record up to the step."""
    reading = device.clock.reading()
    key = _offline_key(reply)

    def change(state: State) -> State:
        state = replies.after_contact(state, reading, reply.server_time)
        user = state.get_user(reply.user) if state.has_user(reply.user) else UserState(reply.user, name)
        token = reply.token if reply.method == "tokencode" else ""
        user = after_online_success(user, token, reply.step, reply.server_time)
        return state.with_user(replace(user, wrapped_check=reply.check) if key else user)

    device.store.change(change, always=True)
    return UnlockedSecrets(device.store, reply.user, key) if key else None


def _offline_key(reply: SignInReply) -> Secret[bytes] | None:
    """Return the key in the reply if its check matches."""
    if not reply.offline_key:
        return None
    key = Secret(bytes.fromhex(reply.offline_key))
    return key if check_of(key).hex() == reply.check else None


def _sync_if_reached(device: ThisDevice, server: AgentApi) -> SyncReply | None:
    """Erase what the server withholds, before the answer. If the server is not reached, its decision still stands."""
    try:
        server.allow(SYNC_PATIENCE)
        return sync(device, server)
    except NotReached:
        return None
    except Refused as error:
        withhold_if_revoked(device, error)
        return None


def _denied_online(device: ThisDevice, name: str, reply: SignInReply, reply_to: str) -> LoginAnswer:
    misread = tuple(reply.misread)
    reason = RefusalReason.ANSWER_REFUSED if reply_to else RefusalReason.WRONG_PASSCODE
    refusal = Refusal(RefusalReason.MISREAD if misread else reason, misread=misread)
    user = device.state.find_user(name)
    return refused(refusal, Mode.ONLINE, device_sentence(device.state, user) if user and misread else "")


def _granted_online(device: ThisDevice, reply: SignInReply) -> LoginAnswer:
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


def _log_tls_failure(device: ThisDevice) -> None:
    """Log that another machine answered in the server's place."""
    now, reason = device.store.trusted_time().time, "the server's certificate was not the enrolled CA's"
    device.store.change(lambda state: alarmed(state, device.store.keys.sign, EventKind.TLS_FAILURE, now, reason))
