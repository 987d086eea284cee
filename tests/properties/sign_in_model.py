"""The results of sign-ins, as simply as possible: the model against which the state machine checks the server.

It knows no SQL, no snapshots and no candidates: a person, their tokens, and the rules in docs/tokens.md.
"""

from dataclasses import dataclass, field

LIMIT, LOCKED_FOR, ASK_NEXT_AFTER, HISTORY, LIFETIME = 5, 600, 3, 3, 120
DAY = 86_400


@dataclass(eq=False)
class Access:
    """Online emergency access to a token."""

    one_time: bool
    if_available: str  # deny | end | after-lifetime
    expires_at: int
    codes: list[str]

    def lets_token(self, now: int) -> bool:
        return self.if_available == "end" or (self.if_available == "after-lifetime" and now >= self.expires_at)


@dataclass(eq=False)
class Token:
    """One token in the user's hands; `events`: it counts presses."""

    serial: str
    events: bool
    with_pin: bool
    last_step: int
    pins: list[str] = field(default_factory=list)  # newest first; the present one, if `has_pin`
    has_pin: bool = False
    must_change: bool = False
    enabled: bool = True
    lost: bool = False
    drift: int = 0
    replay_step: int = 0
    offline_code_online: bool = False
    access: Access | None = None

    def usable(self, now: int, by: str = "tokencode") -> bool:
        """Return True if codes of this kind are accepted: the token's own ones, or those for an emergency."""
        if by == "offline code":
            return self.enabled and self.offline_code_online
        if by == "online code":
            return self.enabled and self.access is not None and now < self.access.expires_at
        return self.enabled and not self.lost and (self.access is None or self.access.lets_token(now))

    def shows(self, step: int, now: int, after: int | None = None) -> bool:
        """Return True if the server looks for this step now."""
        if self.events:
            last = self.last_step if after is None else after
            return max(0, last) <= step <= last + 100
        return abs(step - (now // 30 + self.drift)) <= 1

    def pin_fits(self, typed: str) -> bool:
        """Return True if this is the PIN ("": none) before its code."""
        if not self.with_pin or not self.has_pin:
            return typed == ""
        return typed == self.pins[0]


@dataclass(eq=False)
class Challenge:
    """A challenge that the server waits on."""

    token: Token
    ask: str  # next-tokencode | new-pin | confirm-pin
    step: int | None
    expires_at: int
    tries: int = 0
    pin: str = ""
    by: str = "tokencode"  # | offline code | online code
    alive: bool = True


@dataclass
class Model:
    """One user. Each method updates it and returns the expected result: "granted", a challenge's name, or "denied"."""

    enabled: bool = True
    failures: int = 0
    first_failure_at: int | None = None
    locked_at: int | None = None
    tokens: list[Token] = field(default_factory=list)
    challenges: list[Challenge] = field(default_factory=list)

    def locked(self, now: int) -> bool:
        return self.locked_at is not None and now < self.locked_at + LOCKED_FOR

    def closed(self, now: int) -> bool:
        return not self.enabled or self.locked(now)

    def fail(self, now: int) -> str:
        """A wrong passcode."""
        if self.locked(now):
            return "denied"
        if self.first_failure_at is None or now >= self.first_failure_at + DAY or self.locked_at is not None:
            self.failures, self.first_failure_at = 0, now
        self.failures += 1
        self.locked_at = now if self.failures >= LIMIT else None
        return "denied"

    def forgive(self) -> str:
        self.failures, self.first_failure_at, self.locked_at = 0, None, None
        return "granted"

    def tokencode(self, token: Token, step: int, pin: str, now: int) -> tuple[str, Challenge | None]:
        if self.closed(now):
            return "denied", None
        if not (token.pin_fits(pin) and token.shows(step, now) and token.usable(now)):
            return self.fail(now), None
        return self._right(token, step, now, next_given=False)

    def _right(self, token: Token, step: int, now: int, *, next_given: bool) -> tuple[str, Challenge | None]:
        if step <= token.last_step:
            if step > token.replay_step:
                token.replay_step = step
                self.fail(now)
            return "denied", None
        far = token.events and step > token.last_step + 10
        if not next_given and (self.failures >= ASK_NEXT_AFTER or far):
            return self._ask(Challenge(token, "next-tokencode", step, now + LIFETIME))
        token.last_step, token.drift = step, 0 if token.events else step - now // 30
        return self._after_all_codes(token, step, now, "tokencode")

    def _after_all_codes(self, token: Token, step: int | None, now: int, by: str) -> tuple[str, Challenge | None]:
        if token.with_pin and (not token.has_pin or token.must_change):
            return self._ask(Challenge(token, "new-pin", step, now + LIFETIME, by=by))
        if by == "tokencode":
            token.access = None
        return self.forgive(), None

    def _ask(self, challenge: Challenge) -> tuple[str, Challenge]:
        self.challenges.append(challenge)
        return challenge.ask, challenge

    def answer_code(self, challenge: Challenge, step: int, now: int) -> tuple[str, Challenge | None]:
        """Answer with the tokencode of this step."""
        if not self._taken(challenge, now) or self._over(challenge, now):
            return "denied", None
        token = challenge.token
        assert challenge.step is not None
        if step != challenge.step + 1 or not token.shows(step, now, after=challenge.step):
            return self.fail(now), None
        return self._right(token, step, now, next_given=True)

    def answer_pin(self, challenge: Challenge, pin: str, now: int, *, allowed: bool) -> tuple[str, Challenge | None]:
        """Answer with this PIN. `allowed`: policy allows it, apart from its history."""
        if not self._taken(challenge, now) or self._over(challenge, now):
            return "denied", None
        token = challenge.token
        if challenge.ask == "confirm-pin" and pin == challenge.pin:
            self.set_pin(token, pin)
            return self._after_all_codes(token, challenge.step, now, challenge.by)
        ask, tries, wanted = "new-pin", challenge.tries + 1, ""
        if challenge.ask == "new-pin" and allowed and pin not in token.pins[: HISTORY + 1]:
            ask, tries, wanted = "confirm-pin", challenge.tries, pin
        elif challenge.tries == 2:
            return "denied", None
        return self._ask(Challenge(token, ask, challenge.step, now + LIFETIME, tries, wanted, challenge.by))

    def _taken(self, challenge: Challenge, now: int) -> bool:
        taken = challenge.alive and now < challenge.expires_at
        challenge.alive = False
        return taken

    def _over(self, challenge: Challenge, now: int) -> bool:
        return self.closed(now) or not challenge.token.usable(now, challenge.by)

    def emergency_code(self, token: Token, pin: str, now: int, *, right: bool) -> tuple[str, Challenge | None]:
        """The offline emergency tokencode, typed online."""
        if self.closed(now):
            return "denied", None
        fits = self._has_pin_if_needed(token) and token.pin_fits(pin)
        if not right or not fits or not token.usable(now, "offline code"):
            return self.fail(now), None
        return self._after_all_codes(token, None, now, "offline code")

    def online_code(self, token: Token, code: str, pin: str, now: int) -> tuple[str, Challenge | None]:
        """A fixed or one-time tokencode."""
        if self.closed(now):
            return "denied", None
        access = token.access
        fits = self._has_pin_if_needed(token) and token.pin_fits(pin)
        if access is None or not fits or code not in access.codes or not token.usable(now, "online code"):
            return self.fail(now), None
        if access.one_time:
            access.codes.remove(code)
        return self._after_all_codes(token, None, now, "online code")

    def _has_pin_if_needed(self, token: Token) -> bool:
        return not token.with_pin or token.has_pin

    def set_pin(self, token: Token, pin: str, *, must_change: bool = False) -> None:
        if pin:
            token.pins.insert(0, pin)
        token.has_pin, token.must_change = bool(pin), must_change
        self.end_challenges(token)

    def mark(self, token: Token, *, enabled: bool, lost: bool) -> None:
        """Change the flags. Withdrawing a token ends its open challenge for good, even if the token is given back."""
        if (token.enabled and not enabled) or (lost and not token.lost):
            self.end_challenges(token)
        token.enabled, token.lost = enabled, lost

    def allow_offline_code(self, token: Token, *, allowed: bool) -> None:
        if not allowed:
            self.end_challenges(token)
        token.offline_code_online = allowed

    def end_access(self, token: Token) -> None:
        if token.access is not None:
            self.end_challenges(token)
        token.access = None

    def end_challenges(self, token: Token) -> None:
        for challenge in self.challenges:
            if challenge.token is token:
                challenge.alive = False

    def resync(self, token: Token, step: int, now: int) -> str:
        """Resync with the codes of this step and the next."""
        if self.locked(now):
            return "denied"
        first, last = (token.last_step + 1, token.last_step + 1000) if token.events else (now // 30 - 1440, 0)
        if not token.events:
            first, last = max(first, token.last_step + 1), now // 30 + 1440
        if not first <= step < last:
            return self.fail(now)
        token.last_step, token.drift = step + 1, 0 if token.events else step + 1 - now // 30
        return "granted"
