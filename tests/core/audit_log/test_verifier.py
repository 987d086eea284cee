"""The verifier of the audit log, on logs in memory: each kind of tampering has its own name."""

import dataclasses
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparekey.app.ports import KeyPurpose
from sparekey.core.audit_log.chain import AuditRow, Batch, next_batch
from sparekey.core.audit_log.checkpoint import Checkpoint
from sparekey.core.audit_log.verifier import LogFault, Verifier
from tests.memory_keystore import MemoryKeystore

KEYS = MemoryKeystore()
PUBLIC_KEY = KEYS.public_key(KeyPurpose.CHECKPOINT)

Log = list[tuple[Batch, Sequence[AuditRow]]]


def a_row(row_id: int = 1, **changes: object) -> AuditRow:
    values: dict[str, object] = {
        "id": row_id,
        "at": 1_800_000_000_000_000 + row_id,
        "actor": "client:web",
        "action": "sign-in.granted",
        "account_id": "alice",
        "token_id": "t1",
        "device_id": None,
        "result": "ok",
        "detail": f'{{"step":{row_id}}}',
    }
    return AuditRow(**values | changes)  # type: ignore[arg-type] # a builder: tampered rows hold any type


def signed(batch: Batch, keys: MemoryKeystore = KEYS) -> Batch:
    return dataclasses.replace(batch, signature=keys.sign(KeyPurpose.CHECKPOINT, batch.signed_message))


def a_log(*sizes: int, keys: MemoryKeystore = KEYS) -> Log:
    log: Log = []
    next_id = 1
    for size in sizes:
        rows = [a_row(next_id + index) for index in range(size)]
        head = log[-1][0] if log else None
        log.append((signed(next_batch(head, rows, 1_800_000_000 + next_id), keys), rows))
        next_id += size
    return log


def faults(log: Log, witnesses: Sequence[Checkpoint] = ()) -> list[tuple[LogFault, int | None, int | None]]:
    verifier = Verifier(PUBLIC_KEY, witnesses)
    for batch, rows in log:
        verifier.take(batch, rows)
    return [(finding.fault, finding.first, finding.last) for finding in verifier.finish()]


def test_a_whole_record_has_no_fault() -> None:
    log = a_log(3, 1, 500)
    assert faults(log, [batch.checkpoint for batch, _ in log]) == []
    assert faults([]) == []


OTHER_VALUES: Mapping[str, object] = {
    "at": 1,
    "actor": "client:other",
    "action": "sign-in.denied",
    "account_id": None,
    "token_id": "t2",
    "device_id": "",
    "result": "",
    "detail": "{}",
}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_s80_every_value_of_a_row_counts(name: str) -> None:
    log = a_log(2, 3)
    batch, rows = log[1]
    log[1] = (batch, [rows[0], AuditRow(**vars(rows[1]) | {name: OTHER_VALUES[name]}), rows[2]])
    assert faults(log) == [(LogFault.CHANGED, 4, 4)]


def test_the_values_of_a_row_do_not_run_into_each_other() -> None:
    first, second = a_row(actor="a", action="bc"), a_row(actor="ab", action="c")
    assert first.content != second.content
    assert a_row(account_id=None).content != a_row(account_id="").content


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Batch) if field.name != "number"])
def test_s80_every_value_of_a_batch_counts(name: str) -> None:
    log = a_log(2, 3)
    batch, rows = log[1]
    value = getattr(batch, name)
    altered = value + 1 if isinstance(value, int) else bytes([value[0] ^ 1]) + value[1:]
    log[1] = (Batch(**vars(batch) | {name: altered}), rows)
    assert LogFault.BAD_SIGNATURE in [fault for fault, _, _ in faults(log)]


def test_s80_a_batch_rewritten_without_the_key_is_found() -> None:
    log = a_log(2, 3)
    thief = MemoryKeystore()
    rows = [dataclasses.replace(row, result="nothing happened") for row in log[1][1]]
    log[1] = (signed(next_batch(log[0][0], rows, 1), thief), rows)
    assert faults(log) == [(LogFault.BAD_SIGNATURE, None, None)]


def test_s80_batches_in_another_order_are_found() -> None:
    log = a_log(2, 3, 2)
    (second, second_rows), (third, third_rows) = log[1], log[2]
    swapped = [
        log[0],
        (dataclasses.replace(third, number=2), third_rows),
        (dataclasses.replace(second, number=3), second_rows),
    ]
    found = [fault for fault, _, _ in faults(swapped)]
    assert found.count(LogFault.CHAIN_BROKEN) == 2
    assert found.count(LogFault.BAD_SIGNATURE) == 2


def test_s80_a_signed_batch_of_another_chain_does_not_fit() -> None:
    log, other = a_log(2, 3), a_log(3, 2)
    assert (LogFault.CHAIN_BROKEN, None, None) in faults([log[0], other[1]])


def test_s80_one_fault_does_not_hide_the_next() -> None:
    log = a_log(5, 5, 5)
    for index, gone in ((0, 2), (2, 3)):
        batch, rows = log[index]
        log[index] = (batch, [*rows[:gone], *rows[gone + 1 :]])
    batch, rows = log[1]
    log[1] = (batch, [dataclasses.replace(rows[0], actor="x"), *rows[1:4], dataclasses.replace(rows[4], at=0)])
    assert faults(log) == [
        (LogFault.CHANGED, 6, 6),
        (LogFault.CHANGED, 10, 10),
        (LogFault.MISSING, 3, 3),
        (LogFault.MISSING, 14, 14),
    ]


def test_missing_rows_that_follow_one_another_are_one_finding() -> None:
    log = a_log(10)
    batch, rows = log[0]
    log[0] = (batch, [*rows[:2], *rows[5:8]])
    assert faults(log) == [(LogFault.MISSING, 3, 5), (LogFault.MISSING, 9, 10)]


def test_s80_values_of_a_wrong_type_are_findings_and_not_errors() -> None:
    log = a_log(3)
    batch, rows = log[0]
    log[0] = (batch, [a_row(1, at="yesterday"), a_row(2, detail=b"\xff"), a_row(3, actor=1.5)])
    assert faults(log) == [(LogFault.CHANGED, 1, 1), (LogFault.CHANGED, 2, 2), (LogFault.CHANGED, 3, 3)]
    assert len(rows) == 3


def test_a_witness_without_a_signature_is_named_and_proves_nothing() -> None:
    log = a_log(2)
    forged = dataclasses.replace(log[0][0].checkpoint, number=99)
    assert faults(log, [forged]) == [(LogFault.BAD_WITNESS, None, None)]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), data=st.data())
def test_s80_every_change_of_a_row_is_found(sizes: list[int], data: st.DataObject) -> None:
    log = a_log(*sizes)
    index = data.draw(st.integers(0, len(sizes) - 1))
    batch, rows = log[index]
    place = data.draw(st.integers(0, len(rows) - 1))
    deed = data.draw(st.sampled_from(["delete", "change", "insert", "exchange", "renumber"]))
    tampered = list(rows)
    if deed == "delete":
        del tampered[place]
    elif deed == "change":
        tampered[place] = dataclasses.replace(
            rows[place], result=data.draw(st.text().filter(lambda text: text != "ok"))
        )
    elif deed == "insert":
        tampered.append(a_row(1000))
    elif deed == "renumber":
        tampered = sorted(
            (*rows[:place], *rows[place + 1 :], dataclasses.replace(rows[place], id=1000)), key=lambda r: r.id
        )
    else:
        other = data.draw(st.integers(0, len(rows) - 1))
        tampered[place] = dataclasses.replace(rows[other], id=rows[place].id)
        tampered[other] = dataclasses.replace(rows[place], id=rows[other].id)
    log[index] = (batch, tampered)
    assert bool(faults(log)) == (tampered != list(rows))
