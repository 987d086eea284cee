"""The file pam_sparekey.so: its exports, its dependencies, its hardening; and its man page."""

import re
import subprocess

import pytest

from tests.native.built import NATIVE, pam_module

pytestmark = pytest.mark.services  # starts a compiler


def run(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_s64_nothing_is_exported_but_the_entry_points() -> None:
    symbols = run("nm", "--dynamic", "--defined-only", "--format=posix", str(pam_module())).splitlines()
    assert sorted(line.split()[0] for line in symbols) == [
        "pam_sm_acct_mgmt",
        "pam_sm_authenticate",
        "pam_sm_chauthtok",
        "pam_sm_setcred",
    ]


def test_the_module_needs_only_pam_and_the_c_library() -> None:
    dynamic = run("readelf", "--dynamic", "--wide", str(pam_module()))
    assert set(re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)) == {"libpam.so.0", "libc.so.6"}
    assert "BIND_NOW" in dynamic
    assert not re.search(r"R(UN)?PATH|TEXTREL", dynamic)


def test_the_module_is_hardened() -> None:
    headers = run("readelf", "--program-headers", "--wide", str(pam_module()))
    assert "GNU_RELRO" in headers
    assert re.search(r"GNU_STACK.* RW ", headers)
    imported = run("nm", "--dynamic", "--undefined-only", "--format=posix", str(pam_module()))
    assert "__stack_chk_fail" in imported
    assert "explicit_bzero" in imported


def test_the_frames_do_nothing_but_frames() -> None:
    source = "".join(path.read_text() for path in sorted((NATIVE / "frames").glob("*.[ch]")))
    assert set(re.findall(r"#include <(.+)>", source)) == {"stdbool.h", "stddef.h", "stdint.h", "string.h"}
    assert not re.search(r"\b(malloc|calloc|free|errno|static (?!const|bool|int|size_t|struct|uint|inline))\b", source)


def test_the_man_page_has_every_option_and_no_other() -> None:
    source = (NATIVE / "pam" / "options.c").read_text()
    known = set(re.findall(r'value_of\(word, "(\w+)"\)', source)) | set(re.findall(r'strcmp\(word, "(\w+)"\)', source))
    page = (NATIVE / "pam" / "pam_sparekey.8").read_text()
    options = page.partition(".SH OPTIONS")[2].partition(".SH ")[0]
    assert known == {re.sub(r"=.*", "", each) for each in re.findall(r"^\.TP\n\.BR? (\w+)", options, re.MULTILINE)}
    for code in set(
        re.findall(
            r"PAM_[A-Z_]+_(?:ERR|UNAVAIL|INSUFFICIENT|DENIED)|PAM_INCOMPLETE",
            "".join(path.read_text() for path in (NATIVE / "pam").glob("*.c")),
        )
    ):
        assert code in page, code
