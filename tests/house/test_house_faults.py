"""House rules of faults: every test of a security requirement has one, and each names tests that exist and applies."""

import pytest

from tools.fault_files import Fault, all_faults, numbers_with_a_test, unknown_tests


def test_tests_and_faults_have_the_same_numbers() -> None:
    planted = {fault.number for fault in all_faults()}
    tested = numbers_with_a_test()
    assert sorted(tested - planted) == [], "these have a test and no fault"
    assert sorted(planted - tested) == [], "these have a fault and no test"


@pytest.mark.parametrize("fault", all_faults(), ids=str)
def test_a_fault_names_tests_that_exist_and_applies(fault: Fault) -> None:
    assert unknown_tests(fault) == []
    assert any(f"::test_{fault.number}_" in node for node in fault.tests)
    assert fault.faulted()  # raises FaultError if it does not apply
