"""Keys in a TPM beyond the common contract: their choice, errors, PIN locks."""

import sys
from pathlib import Path

import pytest

from sparekey.agent.ground.ports import LockedOut, PinLocks, StoreUnreadable, WrongPin
from sparekey.agent.platform.posix import PosixFiles
from sparekey.agent.store import key_choice as store_keys
from sparekey.agent.store.file_keys import KEYS
from sparekey.agent.store.key_choice import AUTO, OFF, REQUIRED, forget_keys, make_keys
from sparekey.agent.tpm import protection
from sparekey.agent.tpm.chip import STORAGE_ROOT_KEY, Tpm
from sparekey.agent.tpm.errors import _SENTENCES, tpm_error_for
from sparekey.agent.tpm.keys import TPM_KEYS, TpmKeys
from sparekey.agent.tpm.protection import describe_protection, protection_of
from sparekey.secret import Secret
from tests.swtpm import Swtpm

FILES = PosixFiles()
RIGHT, WRONG = Secret(bytes(range(31)) + b"\0"), Secret(bytes(32))


def made(directory: Path, tpm: Swtpm) -> TpmKeys:
    keys = make_keys(directory, FILES, tpm.tcti).keys
    assert isinstance(keys, TpmKeys)
    return keys


def counters(tpm: Swtpm) -> list[str]:
    return tpm.tool("tpm2_getcap", "handles-nv-index").split()[1::2]


@pytest.fixture
def no_tpm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the TPM of the computer that runs the tests."""
    for module in (store_keys, protection):
        monkeypatch.setattr(module, "DEFAULT_TCTI", "device:/nowhere/tpmrm0")


@pytest.mark.usefixtures("no_tpm")
def test_without_a_tpm_a_file_is_used_and_the_reason_reported(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "store", FILES, AUTO)
    assert protection_of(made.keys) == "file"
    assert made.words.startswith(
        "no TPM was found (device:/nowhere/tpmrm0): the keys are in a file that only root can read."
    )
    assert "lost" not in made.words
    assert "restored image" in describe_protection(made.keys).words
    assert describe_protection(made.keys).advice == ""


def test_an_unused_tpm_is_reported_with_the_way_to_use_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "tpmrm0"
    device.touch()
    for module in (store_keys, protection):
        monkeypatch.setattr(module, "DEFAULT_TCTI", f"device:{device}")
    made = make_keys(tmp_path / "store", FILES, AUTO)
    assert made.words.startswith(f"the TPM does not answer (device:{device}): ")
    assert "--tpm required" in describe_protection(made.keys).advice


@pytest.mark.usefixtures("no_tpm")
def test_s24b_a_tpm_that_is_required_is_not_done_without(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreadable) as caught:
        make_keys(tmp_path / "store", FILES, REQUIRED)
    assert caught.value.word == "no-tpm"
    assert list((tmp_path / "store").iterdir()) == []


def test_without_its_library_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(StoreUnreadable, match="tpm2-pytss"):
        make_keys(tmp_path / "store", FILES, "swtpm:path=/nowhere")


def test_a_tpm_is_described(tmp_path: Path, swtpm: Swtpm) -> None:
    made = make_keys(tmp_path / "store", FILES, swtpm.tcti)
    assert protection_of(made.keys) == "tpm"
    assert "IBM" in made.words
    found = describe_protection(made.keys)
    assert (found.word, found.advice, found.trouble) == ("tpm", "", "")
    assert found.tpm is not None
    assert (found.tpm.maker, found.tpm.tries, found.tpm.in_lockout) == ("IBM", 3, False)
    swtpm.lock_out()
    assert "lockout" in describe_protection(made.keys).advice
    swtpm.switch_off()
    assert "no TPM answers" in describe_protection(made.keys).trouble


def test_an_enrolment_that_did_not_come_about_leaves_no_counter(tmp_path: Path, swtpm: Swtpm) -> None:
    for _ in range(3):
        made(tmp_path / "store", swtpm)
    assert len(counters(swtpm)) == 1
    make_keys(tmp_path / "store", FILES, OFF)
    assert counters(swtpm) == []
    assert [path.name for path in (tmp_path / "store").iterdir()] == [KEYS]


def test_forgetting_removes_the_counter_or_reports_that_it_stays(tmp_path: Path, swtpm: Swtpm) -> None:
    made(tmp_path / "store", swtpm)
    swtpm.set_owner_password("theirs")
    with pytest.raises(StoreUnreadable) as caught:
        forget_keys(tmp_path / "store", FILES)
    assert caught.value.word == "tpm-owner-password"
    assert not (tmp_path / "store" / TPM_KEYS).exists()


def test_a_full_tpm_lists_its_contents(tmp_path: Path, swtpm: Swtpm) -> None:
    swtpm.fill()
    with pytest.raises(StoreUnreadable, match="tpm2_nvundefine") as caught:
        made(tmp_path / "store", swtpm)
    assert caught.value.word == "tpm-full"


def test_the_storage_root_key_that_the_system_keeps_is_used_and_needs_no_owner(tmp_path: Path, swtpm: Swtpm) -> None:
    context = str(tmp_path / "srk")
    swtpm.tool(
        "tpm2_createprimary",
        "-C",
        "o",
        "-G",
        "rsa2048",
        "-c",
        context,
        "-a",
        "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda",
    )
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", context, f"{STORAGE_ROOT_KEY:#x}")
    swtpm.tool("tpm2_flushcontext", "-t")
    keys = made(tmp_path / "store", swtpm)
    assert keys._parent.handle == STORAGE_ROOT_KEY
    swtpm.set_owner_password("theirs")
    sealed = keys.seal_state(b"state")
    keys.committed()
    assert keys.open_state(sealed) == b"state"


@pytest.mark.parametrize("more", ["noda", "fixedtpm|fixedparent"])
def test_a_root_key_that_may_leave_or_waits_in_a_lockout_is_not_used(tmp_path: Path, swtpm: Swtpm, more: str) -> None:
    attributes = f"restricted|decrypt|sensitivedataorigin|userwithauth|{more}"
    context = str(tmp_path / "srk")
    swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", context, "-a", attributes)
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", context, f"{STORAGE_ROOT_KEY:#x}")
    swtpm.tool("tpm2_flushcontext", "-t")
    assert made(tmp_path / "store", swtpm)._parent.handle == 0


def test_nothing_stays_in_the_tpm_but_the_counter(tmp_path: Path, swtpm: Swtpm) -> None:
    keys = made(tmp_path / "store", swtpm)
    keys.seal_state(b"state")
    keys.sign(b"message")
    for kind in ("handles-transient", "handles-loaded-session", "handles-persistent"):
        assert swtpm.tool("tpm2_getcap", kind) == ""


def test_every_refusal_has_a_sentence() -> None:
    codes = [0x101, 0x085, 0x18B, 0x98E, 0x9A2, 0x14B, 0x902, 0x921, 0xA000A, 0xA0001, 0x70001, 0x80001, 0xB0921]
    words = [tpm_error_for(code, "device:/dev/tpmrm0").word for code in codes]
    assert set(words) <= set(_SENTENCES)
    assert words[-5:] == ["no-tpm", "no-tpm", "tpm-failed", "tpm-failed", "tpm-lockout"]


@pytest.fixture
def locks(tmp_path: Path, swtpm: Swtpm) -> PinLocks:
    found = made(tmp_path / "store", swtpm).pin_locks
    assert found is not None
    return found


def test_a_pin_lock_opens_for_its_authorisation_alone(locks: PinLocks) -> None:
    sealed = locks.seal(Secret(bytes(range(64))), RIGHT)
    assert locks.open(sealed, RIGHT) == Secret(bytes(range(64)))
    with pytest.raises(WrongPin):
        locks.open(sealed, WRONG)
    assert locks.open(sealed, RIGHT) == Secret(bytes(range(64)))


def test_too_many_wrong_pins_close_it_for_the_right_one_too(locks: PinLocks, swtpm: Swtpm) -> None:
    sealed = locks.seal(Secret(b"secret"), RIGHT)
    for _ in range(locks.count().tries):
        with pytest.raises(WrongPin):
            locks.open(sealed, WRONG)
    with pytest.raises(LockedOut, match="17 minutes"):
        locks.open(sealed, RIGHT)
    swtpm.reset()
    with pytest.raises(LockedOut):
        locks.open(sealed, RIGHT)


def test_tries_are_raised_where_they_may_be_and_never_lowered(locks: PinLocks) -> None:
    assert locks.count().tries == 3
    assert locks.ensure_tries(12) == 12
    assert locks.ensure_tries(5) == 12


def test_a_lockout_with_a_password_is_left_alone(locks: PinLocks, swtpm: Swtpm) -> None:
    swtpm.set_lockout_password("theirs")
    assert locks.ensure_tries(12) == 3
    facts = swtpm.tool("tpm2_getcap", "properties-variable")
    assert "inLockout:                 0" in facts


def test_a_tpm_that_counts_nothing_is_made_to(locks: PinLocks, swtpm: Swtpm) -> None:
    swtpm.tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=31", "--recovery-time=0")
    assert locks.count().tries == 0
    assert locks.ensure_tries(12) == 12
    with Tpm(swtpm.tcti).visit() as visit:
        assert visit.facts().forgives_after > 0
