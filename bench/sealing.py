"""P5 and P6: the cost of sealing for the server, and of a guess for an attacker who has copied the disk."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.table import Row, progress, side_by_side
from sparekey.argon2id import argon2id
from sparekey.core.tokens import Totp
from sparekey.sealed import BALANCED, LEVELS, PinHash, SealPlan, day_not_after, new_offline_key, seal_unit
from sparekey.secret import Secret
from sparekey.unit_kind import UnitKind

DAY = 20_000
PASSWORD_BYTES = 77  # as long as a record's: label, P, six digits, i, pepper


def rows(*, full: bool) -> list[Row]:
    """Sealing against bare Argon2id of the same size on all cores; hashes per guess against hashes per record."""
    records, rounds = (2_880, 5) if full else (1_000, 3)
    progress(f"P5: {rounds} times {records} records at balanced, and as many bare hashes")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ours, bare = side_by_side(lambda: _sealed(records, pool), lambda: _bare(records, pool), rounds)
    sealing = Row(
        "P5", "sealing at balanced, all cores", ours, "records/s", "bare Argon2id", bare, ours / bare, ">= 0.93"
    )
    return [sealing, *(_attack(name) for name in LEVELS)]


def _sealed(records: int, pool: ThreadPoolExecutor) -> float:
    totp = Totp(Secret(bytes(20)))
    codes = [(step, totp.code(step)) for step in totp.steps_of_day(DAY, 0)[:records]]
    plan = SealPlan(
        kind=UnitKind.DAY,
        device="device",
        user="user",
        login="alice",
        token="token",
        generation=1,
        level=BALANCED,
        pin=PinHash(bytes(16), 19_456, 2, Secret(bytes(32))),
        offline_key=new_offline_key(),
        not_after=day_not_after(DAY),
        sealed_at=DAY * 86_400,
        interval=30,
        window=1,
        digits=6,
    )
    begun = time.perf_counter()
    seal_unit(plan, codes, Ed25519PrivateKey.generate().sign, run=pool.map)
    return len(codes) / (time.perf_counter() - begun)


def _bare(records: int, pool: ThreadPoolExecutor) -> float:
    password = bytes(PASSWORD_BYTES)
    cores = os.cpu_count() or 1

    def share(_: int) -> None:
        for _ in range(records // cores):
            argon2id(password, bytes(16), BALANCED.argon_m, BALANCED.argon_t)

    begun = time.perf_counter()
    list(pool.map(share, range(cores)))
    return records // cores * cores / (time.perf_counter() - begun)


def _attack(name: str) -> Row:
    """A count, not a time: each wrong guess tries every pepper, the server hashed once."""
    guesses = float(2 ** LEVELS[name].pepper_bits)
    return Row(
        "P6",
        f"hashes per wrong guess / per record at {name}",
        guesses,
        "hashes",
        "1 per record",
        1.0,
        guesses,
        ">= 128",
    )
