"""The passkeys of the user: adding with a fresh second factor, removal, and challenges for passkey.js."""

from typing import Final

from sparekey.app.self_service import own as self_service
from sparekey.app.self_service import passkeys as user_passkeys
from sparekey.app.sessions import passkey_sign_ins, passkeys
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.passkeys import challenge_file, get_place, get_session
from sparekey.server.web.visits import Visit

pages = Pages("/self-service/passkeys")
PASSKEYS: Final = "/self-service/passkeys"
SECOND_FACTOR_CHALLENGE: Final = f"{PASSKEYS}/second-factor/challenge"


@pages.get("", None)
def own(visit: Visit) -> Reply:
    return visit.show(
        "self-service/passkeys.html",
        passkeys=passkeys.own_passkeys(visit.instance, get_session(visit)),
        help_text=self_service.help_text(visit.instance, visit.actor),
    )


@pages.post(":add", None, again=own, fresh=True)
def new(visit: Visit) -> Reply:
    """Return the form that creates a passkey. It asks for the second factor first, so that no new passkey is lost."""
    get_place(visit)
    user_passkeys.verify_may_add(visit.instance, get_session(visit))
    return visit.show("self-service/new-passkey.html")


@pages.post("/challenge", None, again=own)
def registration_challenge(visit: Visit) -> Reply:
    """Return the challenge for a new passkey, for passkey.js."""
    session = get_session(visit)
    return challenge_file(user_passkeys.ask_for_registration(visit.instance, get_place(visit), session, visit.now))


@pages.post("", None, again=new, fresh=True)
def add(visit: Visit) -> Reply:
    name, answer = visit.form.text("name", "Name", needed=True), visit.form.get("passkey", "")
    made = user_passkeys.add_passkey(visit.instance, get_place(visit), get_session(visit), name, answer, visit.now)
    return Redirect(PASSKEYS, f"The passkey {made.name} was added. You can now sign in here without your token.")


@pages.post("/{passkey}/remove", None, again=own)
def remove(visit: Visit) -> Reply:
    name = passkeys.remove_own_passkey(visit.instance, get_session(visit), visit.path["passkey"], visit.now)
    return Redirect(
        PASSKEYS,
        f"The passkey {name} was removed. You are signed out everywhere else, and one-time tokencodes that "
        "you created here no longer work.",
    )


@pages.post("/second-factor/challenge", None, again=own)
def second_factor_challenge(visit: Visit) -> Reply:
    """Return the challenge for a second factor, for passkey.js on any page."""
    place, session = get_place(visit), get_session(visit)
    return challenge_file(passkey_sign_ins.ask_for_second_factor(visit.instance, place, session, visit.now))
