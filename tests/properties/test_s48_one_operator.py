"""S48: one operator with every permission does anything, in any order, and never signs in as the user alone.

The policy asks for two people. After each step, the operator types all that they know: PINs that they set, codes that
they saw, and the codes of tokens whose seeds they know. Nothing may lead in, online or on the user's offline device.
"""

import itertools
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sparekey.app.devices.devices import revoke
from sparekey.app.emergency import offline as emergency
from sparekey.app.emergency import online as online_emergency
from sparekey.app.emergency.approvals import ApprovalState, approve, list_approvals
from sparekey.app.emergency.online import GivenAccess, Terms
from sparekey.app.instance import DEFAULT_POLICY, TOP_DOMAIN, Instance
from sparekey.app.people import roles
from sparekey.app.people.admin_links import make_link
from sparekey.app.people.domains import add_domain
from sparekey.app.people.roles import HolderKind
from sparekey.app.people.users import NEVER, UserEdit, add_user, edit_user, move_user, unlock
from sparekey.app.people.users import set_enabled as set_user_enabled
from sparekey.app.policies.policies import add_policy, assign_policy, set_fields
from sparekey.app.sign_in.challenge_answers import answer_challenge
from sparekey.app.sign_in.verification import SignInResult, sign_in
from sparekey.app.tokens.imports import import_tokens
from sparekey.app.tokens.life_cycle import assign, remove, replace, unassign
from sparekey.app.tokens.tokens import NewToken, add_token, clear_pin, set_enabled, set_expiry, set_lost, set_pin
from sparekey.core.emergency.offline import CodeKind
from sparekey.core.errors import SparekeyError
from sparekey.core.permissions import SUPER_ADMINISTRATOR, Actor, Grant, Permission
from sparekey.core.policy.kinds import PolicyKind
from sparekey.core.reasons import ChallengeKind
from sparekey.core.sign_in.outcome import Asked, Denied, Granted
from sparekey.core.tokens import OtpToken, Totp
from sparekey.secret import Secret
from sparekey.storage.people import accounts
from tests.builders import CALLED_BACK, DAY, NOW, REST, ROOT, User, a_device, edit_policy, token_row
from tools.counts import Count

STEPS = 20
WAITS = (1, 30, 3_600, DAY - 1, DAY, 2 * DAY, 8 * DAY)
TWO = {"passcode_approval": "on", "showings_limit": "1000", "showings_warn": "1000", "days": "1"}
SEED = b"a seed of a token in stock"[:20]

_numbers = itertools.count(1)
flags = st.booleans()


class OneOperator(RuleBasedStateMachine):
    """Alice, whose factors are her own, and Anna, an operator who may do everything."""

    server: Instance  # set for each run: all of its users share it

    @initialize(enrolled_by_anna=flags)
    def begin(self, enrolled_by_anna: bool) -> None:
        self.now = NOW + next(_numbers) * 60 * DAY
        self._restore()
        number = next(_numbers)
        anna = add_user(self.server, ROOT, f"anna{number}", TOP_DOMAIN, now=self.now)
        self.anna = Actor(f"user:{anna}", (Grant(frozenset(Permission), None),), anna)
        self.login = f"alice{number}"
        enroller = self.anna if enrolled_by_anna else ROOT
        account_id = add_user(self.server, enroller, self.login, TOP_DOMAIN, now=self.now)
        added = add_token(self.server, enroller, self.login, NewToken(digits=8), now=self.now)
        assert isinstance(added.otp, Totp)
        self.serial, self.otp = added.serial, added.otp
        self.alices_pin = ""
        self.pins: list[str] = []  # that Anna set
        self.seeds: dict[str, OtpToken] = {}  # of tokens that Anna added or imported, by serial
        if enrolled_by_anna:
            self.seeds["added"] = self.otp
        self.codes: list[str] = []  # that Anna saw
        self.shown_until = 0  # the tokencode of the device that Anna saw works
        self.user = User(self.login, account_id, self.serial, token_row(self.server, self.serial).id, self.otp, "")
        self.device = a_device(self.server, now=self.now)
        self.device_works = True
        self.alice_signs_in(on_device=False)
        self.device_pin = ""
        self.now += 60
        self.alice_signs_in(on_device=True)

    def _restore(self) -> None:
        """Ask for two people again, whatever an earlier example did."""
        edit_policy(self.server, TWO, now=self.now)

    def _tries(self, act: Callable[[], object]) -> object:
        """Let Anna try an act; None: it was refused, or waits for an approval."""
        try:
            return act() or True
        except SparekeyError:
            return None

    def _pin(self) -> str:
        return f"p{next(_numbers):07}"

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(on_device=flags)
    def alice_signs_in(self, on_device: bool) -> None:
        """Alice signs in with her own token, and chooses a PIN if she is asked. A revoked device asks nothing."""
        on_device = on_device and self.device_works
        self.now += 60
        code = self.otp.code(self.now // 30)
        result = self._typed(Secret(self.alices_pin + code), on_device)
        if isinstance(result.outcome, Denied) and self.alices_pin:
            self.now += 60
            result = self._typed(Secret(self.otp.code(self.now // 30)), on_device)  # her PIN was cleared
        chosen = self._pin()
        for _ in range(4):
            if not isinstance(result.outcome, Asked) or result.reply_to is None:
                break
            if result.outcome.ask is ChallengeKind.NEXT_TOKENCODE:
                self.now += 30
                answer = Secret(self.otp.code(self.now // 30))
            else:
                answer, self.alices_pin = Secret(chosen), chosen
            result = answer_challenge(self.server, REST, self.login, result.reply_to, answer, self.now)
        if on_device and isinstance(result.outcome, Granted):
            self.device.contact(self.user, self.now)
            self.device_pin = self.alices_pin

    def _typed(self, typed: Secret[str], on_device: bool) -> SignInResult:
        if on_device:
            return self.device.sign_in(self.user, self.now, typed)
        return sign_in(self.server, REST, self.login, typed, self.now)

    @rule(must_change=flags)
    def anna_sets_the_pin(self, must_change: bool) -> None:
        pin = self._pin()
        if self._tries(
            lambda: set_pin(self.server, self.anna, self.serial, Secret(pin), must_change=must_change, now=self.now)
        ):
            self.pins.append(pin)
            self.alices_pin = pin  # Anna tells her

    @rule()
    def anna_clears_the_pin(self) -> None:
        self._tries(lambda: clear_pin(self.server, self.anna, self.serial, now=self.now))

    @rule(one_time=flags, days=st.sampled_from([1, 30, None]))
    def anna_gives_temporary_codes(self, one_time: bool, days: int | None) -> None:
        def give() -> GivenAccess:
            terms = Terms(days)
            if one_time:
                return online_emergency.give_one_time(
                    self.server, self.anna, self.serial, 2, terms, CALLED_BACK, now=self.now
                )
            return online_emergency.give_fixed(self.server, self.anna, self.serial, terms, CALLED_BACK, now=self.now)

        given = self._tries(give)
        if isinstance(given, GivenAccess):
            self.codes += [code.reveal() for code in given.codes]

    @rule()
    def anna_ends_them(self) -> None:
        self._tries(lambda: online_emergency.end(self.server, self.anna, self.serial, now=self.now))

    @rule(online=flags)
    def anna_sees_the_tokencode(self, online: bool) -> None:
        if online:
            self._tries(lambda: emergency.set_online(self.server, self.anna, self.serial, allowed=True, now=self.now))
        shown = self._tries(
            lambda: emergency.show(
                self.server, self.anna, CodeKind.TOKENCODE, self.serial, None, CALLED_BACK, now=self.now
            )
        )
        if isinstance(shown, emergency.ShownCode):
            self.codes.append(shown.code.reveal())
            self.shown_until = shown.not_after

    @rule()
    def anna_wants_the_passcode(self) -> None:
        assert not self._tries(
            lambda: emergency.show(
                self.server, self.anna, CodeKind.PASSCODE, self.login, None, CALLED_BACK, now=self.now
            )
        )

    @rule(with_pin=flags)
    def anna_adds_a_token(self, with_pin: bool) -> None:
        seed = Secret(SEED)
        wish = NewToken(with_pin=with_pin, seed=seed)
        if self._tries(lambda: add_token(self.server, self.anna, self.login, wish, now=self.now)):
            self.seeds["added"] = Totp(seed, 6, 30, "sha1")

    @rule(enable=flags, pin=flags)
    def anna_assigns_a_token(self, enable: bool, pin: bool) -> None:
        serial = self._stocked(pin)
        if self._tries(lambda: assign(self.server, self.anna, serial, self.login, enable=enable, now=self.now)):
            self.seeds[serial] = Totp(Secret(SEED), 6, 30, "sha1")

    @rule(keep=flags)
    def anna_replaces_the_token(self, keep: bool) -> None:
        """Alice gets the new one, but Anna knows its seed."""
        serial = self._stocked(pin=True)
        if self._tries(lambda: replace(self.server, self.anna, self.serial, serial, keep_pin=keep, now=self.now)):
            self.serial, self.otp = serial, Totp(Secret(SEED), 6, 30, "sha1")
            self.seeds[serial] = self.otp

    def _stocked(self, pin: bool) -> str:
        serial = f"ST{next(_numbers):08d}"
        line = f"{serial},totp,{SEED.hex()},6,30,{'yes' if pin else 'no'}"
        data = f"serial,type,seed,digits,interval,pin\n{line}\n".encode()
        import_tokens(self.server, self.anna, data, None, now=self.now)
        return serial

    @rule(to=flags)
    def anna_disables_or_enables(self, to: bool) -> None:
        self._tries(lambda: set_enabled(self.server, self.anna, self.serial, enabled=to, now=self.now))
        for serial in self.seeds.keys() - {"added"}:
            self._switch(serial, to)

    def _switch(self, serial: str, to: bool) -> None:
        self._tries(lambda: set_enabled(self.server, self.anna, serial, enabled=to, now=self.now))

    @rule(to=flags)
    def anna_marks_as_lost_or_found(self, to: bool) -> None:
        self._tries(lambda: set_lost(self.server, self.anna, self.serial, lost=to, now=self.now))

    @rule(seconds=st.sampled_from([None, 0, DAY]))
    def anna_sets_the_end(self, seconds: int | None) -> None:
        end = None if seconds is None else self.now + seconds
        self._tries(lambda: set_expiry(self.server, self.anna, self.serial, expires_at=end, now=self.now))

    @rule(to=flags, ends=flags)
    def anna_edits_the_user(self, to: bool, ends: bool) -> None:
        edit = UserEdit(expires_at=self.now if ends else NEVER)
        self._tries(lambda: edit_user(self.server, self.anna, self.login, edit, now=self.now))
        self._tries(lambda: set_user_enabled(self.server, self.anna, self.login, enabled=to, now=self.now))

    @rule()
    def anna_unlocks(self) -> None:
        self._tries(lambda: unlock(self.server, self.anna, self.login, now=self.now))

    @rule(there=st.sampled_from(["Plain", TOP_DOMAIN]))
    def anna_moves_her(self, there: str) -> None:
        self._tries(lambda: move_user(self.server, self.anna, self.login, there, now=self.now))

    @rule()
    def anna_lifts_the_rule(self) -> None:
        fields = {"passcode_approval": "off"}
        self._tries(
            lambda: set_fields(
                self.server, self.anna, PolicyKind.OFFLINE, DEFAULT_POLICY, fields, confirmed=True, now=self.now
            )
        )
        self._tries(
            lambda: assign_policy(
                self.server, self.anna, PolicyKind.OFFLINE, "One person", TOP_DOMAIN, confirmed=True, now=self.now
            )
        )

    @rule()
    def anna_revokes_the_device(self) -> None:
        if self._tries(lambda: revoke(self.server, self.anna, self.device.device_id, now=self.now)):
            self.device_works = False
        self.shown_until = 0  # the thief's laptop is another story: its data erase themselves at the next contact

    @rule()
    def anna_takes_the_second_token_away(self) -> None:
        for serial in self.seeds.keys() - {"added", self.serial}:
            self._take_away(serial)

    def _take_away(self, serial: str) -> None:
        self._tries(lambda: unassign(self.server, self.anna, serial, now=self.now))
        self._tries(lambda: remove(self.server, self.anna, serial, now=self.now))

    @rule()
    def anna_makes_a_link(self) -> None:
        link = self._tries(lambda: make_link(self.server, self.anna, self.login, now=self.now))
        assert link is None, "Anna has a link for Alice"

    @rule()
    def anna_invents_a_colleague(self) -> None:
        """The colleague, whose token Anna added, approves what Anna asks for."""
        login = f"colleague{next(_numbers)}"
        account_id = add_user(self.server, self.anna, login, TOP_DOMAIN, now=self.now)
        add_token(self.server, self.anna, login, NewToken(), now=self.now)
        roles.grant(self.server, ROOT, SUPER_ADMINISTRATOR, HolderKind.USER, login, TOP_DOMAIN, now=self.now)
        colleague = Actor(f"user:{account_id}", self.anna.grants, account_id)
        for actor in (colleague, self.anna):
            for view in list_approvals(self.server, actor, now=self.now):
                if view.state is ApprovalState.WAITING:
                    assert not self._approves(actor, view.id)

    def _approves(self, actor: Actor, request: str) -> bool:
        return self._tries(lambda: approve(self.server, actor, request, now=self.now)) is not None

    @invariant()
    def nothing_that_anna_knows_leads_in(self) -> None:
        if not hasattr(self, "seeds"):
            return
        codes = [*self.codes[-3:], *(otp.code(self.now // 30) for otp in self.seeds.values())]
        for pin, code in itertools.product(("", *self.pins[-2:]), dict.fromkeys(codes)):
            with self.server.database.write() as connection:
                accounts.unlock(connection, self.user.account_id)
            outcome = sign_in(self.server, REST, self.login, Secret(pin + code), self.now).outcome
            assert isinstance(outcome, Denied), (pin, code, outcome)
        with self.server.database.write() as connection:
            accounts.unlock(connection, self.user.account_id)
        assert not (self.device_pin in self.pins and self.now < self.shown_until), "she gets in offline"


def test_s48_one_operator_never_signs_in_as_the_user(shared_server: Instance, count: Count) -> None:
    add_domain(shared_server, ROOT, "Plain", now=NOW)
    add_policy(shared_server, ROOT, PolicyKind.OFFLINE, "One person", {"days": "1"}, now=NOW)
    assign_policy(shared_server, ROOT, PolicyKind.OFFLINE, "One person", "Plain", now=NOW)
    edit_policy(shared_server, TWO)

    class Machine(OneOperator):
        server = shared_server

    runs = settings(settings.default, max_examples=count(small=6, full=100), stateful_step_count=STEPS, deadline=None)
    run_state_machine_as_test(Machine, settings=runs)
