"""Every test of a security requirement has a planted fault, and every fault names tests that exist."""

import subprocess

from tools.fault_files import all_faults, numbers_with_a_test, unknown_tests
from tools.tree import ROOT


def test_tests_and_faults_have_the_same_numbers() -> None:
    planted = {fault.number for fault in all_faults()}
    tested = numbers_with_a_test()
    assert sorted(tested - planted) == [], "these have a test and no fault file"
    assert sorted(planted - tested) == [], "these have a fault file and no test"


def test_the_tests_of_a_fault_exist_and_one_carries_its_number() -> None:
    for fault in all_faults():
        assert unknown_tests(fault) == [], fault.path.name
        assert any(f"::test_{fault.number}_" in node for node in fault.tests), fault.path.name


def test_every_fault_still_applies() -> None:
    # only checked, nothing is changed; `make faults` applies each to a copy and runs the tests
    words = {}
    for fault in all_faults():
        command = ["git", "apply", "--check", "--whitespace=nowarn", str(fault.path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            words[fault.path.name] = done.stderr
    assert words == {}
