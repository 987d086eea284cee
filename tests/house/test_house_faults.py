"""House rules of faults: every test of a security requirement has one, and each names tests that exist and applies."""

from collections import defaultdict

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


def test_no_two_faults_make_the_same_change_for_one_file_of_tests() -> None:
    """Moved code can turn one fault into another: then a defence is left without a fault."""
    faults = defaultdict(list)
    for fault in all_faults():
        files = {node.partition("::")[0] for node in fault.tests}
        faults[repr(sorted(files)), repr(sorted(fault.faulted().items()))].append(str(fault))
    assert [names for names in faults.values() if len(names) > 1] == []
