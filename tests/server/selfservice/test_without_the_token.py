"""Self-service without a token at hand: sign-in by a passkey, and one-time tokencodes."""

import re

import pytest

from sparekey.app.emergency.online import access_of
from sparekey.app.sessions.administrators import FRESH_SECONDS
from sparekey.app.sessions.passkey_sign_ins import ask_for_second_factor
from sparekey.app.sessions.users import find_session
from sparekey.app.tokens.tokens import set_lost
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import Method
from sparekey.core.sign_in.outcome import Granted
from sparekey.secret import Secret
from tests.app.self_service.test_emergency_access import a_passkey
from tests.app.self_service.test_emergency_access import signed_in as signed_in_with
from tests.authenticators import PLACE, Authenticator
from tests.builders import NOW, PIN, ROOT, User, a_token, a_user, edit_policy, submit
from tests.server.interfaces import Interfaces
from tests.server.self_service_visitor import HOME, Visitor, said, signed_in, text_of


@pytest.fixture
def alice(interfaces: Interfaces) -> User:
    edit_policy(interfaces.instance, {"own_emergency_days": "3"}, kind=PolicyKind.TOKEN)
    return a_user(interfaces.instance, "alice", pin=PIN)


def with_passkey(interfaces: Interfaces, user: User) -> tuple[Visitor, Authenticator]:
    """Sign the user in with a passkey; mark the token as lost."""
    key = a_passkey(interfaces.instance, user)
    set_lost(interfaces.instance, ROOT, user.serial, lost=True, now=NOW)
    return Visitor(interfaces, signed_in_with(interfaces.instance, key, interfaces.now[0]).token), key


def test_a_user_with_a_lost_token_makes_codes_and_signs_in_with_one(interfaces: Interfaces, alice: User) -> None:
    visitor, _ = with_passkey(interfaces, alice)
    page = f"{HOME}/tokens/{alice.serial}/emergency"
    assert f'href="{page}"'.encode() in visitor.get(HOME).body
    assert "The codes work for 3 days" in text_of(visitor.get(page))
    shown = visitor.post(page)
    codes = re.findall(r'<b class="mono">(\w{8})</b>', shown.body.decode())
    assert len(codes) == 10
    outcome = submit(interfaces.instance, alice, NOW, Secret(PIN + codes[0]))
    assert isinstance(outcome, Granted)
    assert outcome.method is Method.ONLINE_EMERGENCY
    again = visitor.get(page)
    assert "9 of 10 left" in text_of(again)
    assert not any(code.encode() in again.body for code in codes)
    assert said(visitor.post(f"{page}/end")) == page
    assert access_of(interfaces.instance, ROOT, alice.serial, now=NOW) is None
    assert f"by you, in self-service, token {alice.serial}" in text_of(visitor.get(f"{HOME}/activity"))


def test_the_page_explains_why_no_codes_can_be_made(interfaces: Interfaces, alice: User) -> None:
    """Signed in with the very token; and where policy leaves it to the help desk, nothing is offered."""
    visitor, page = signed_in(interfaces, alice), f"{HOME}/tokens/{alice.serial}/emergency"
    assert "signed in with the token itself" in text_of(visitor.get(page))
    refused = visitor.post(page)
    assert (refused.status, "signed in with the token itself" in text_of(refused)) == (403, True)
    edit_policy(interfaces.instance, {"own_emergency_days": "0"}, kind=PolicyKind.TOKEN)
    assert page.encode() not in visitor.get(HOME).body
    assert "does not allow this in self-service" in text_of(visitor.get(page))


def test_s62_codes_are_made_with_a_fresh_second_factor_which_may_be_a_passkey(
    interfaces: Interfaces, alice: User
) -> None:
    visitor, key = with_passkey(interfaces, alice)
    page = f"{HOME}/tokens/{alice.serial}/emergency"
    later = interfaces.now[0] = NOW + FRESH_SECONDS
    asked = visitor.post(page)
    assert b'name="second-factor-passkey"' in asked.body
    assert access_of(interfaces.instance, ROOT, alice.serial, now=later) is None
    assert visitor.token is not None
    session = find_session(interfaces.instance, visitor.token, later)
    assert session is not None
    answer = key.get(ask_for_second_factor(interfaces.instance, PLACE, session, later))
    assert b"One-time tokencodes" in visitor.post(page, {"second-factor-passkey": answer}).body


def test_a_passkey_is_offered_to_two_factors_only_and_removed_by_its_owner(interfaces: Interfaces, alice: User) -> None:
    app = a_token(interfaces.instance, "alice", alice.account_id)
    one_factor = signed_in(interfaces, app)
    refused = one_factor.post(f"{HOME}/passkeys:add")
    assert (refused.status, "A token without a PIN is not accepted" in text_of(refused)) == (403, True)
    visitor, _ = with_passkey(interfaces, alice)
    assert "phone" in text_of(visitor.get(f"{HOME}/passkeys"))
    assert b'data-passkey="create"' in visitor.post(f"{HOME}/passkeys:add").body
    passkey = re.findall(r"passkeys/(\w{32})/remove", visitor.get(f"{HOME}/passkeys").body.decode())[0]
    assert said(visitor.post(f"{HOME}/passkeys/{passkey}/remove")) == f"{HOME}/passkeys"
    assert "No passkeys yet" in text_of(visitor.get(f"{HOME}/passkeys"))
