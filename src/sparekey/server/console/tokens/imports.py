"""Import tokens from a file: it is checked first, then imported; rejected entries are listed.

Only the file that was checked is imported: the form carries its fingerprint.
"""

from collections import Counter
from typing import Final

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens.imports import TokenImportReport
from sparekey.core.permissions import Permission
from sparekey.server.console.forms.checked_files import fingerprint, verify_checked
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import FILE, Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/token-imports")
_SHOWN: Final = 300  # refused entries, because a file may have very many


@pages.get("", Permission.TOKEN_IMPORT)
def imports(visit: Visit) -> Reply:
    """Return the form, and the recent imports."""
    return _page(visit, None)


@pages.post("", Permission.TOKEN_IMPORT, again=imports, largest=FILE)
def import_tokens(visit: Visit) -> Reply:
    """Check a file; import its tokens if `do` is import."""
    form, password = visit.form, visit.form.secret("password")
    file, in_earnest = form.file("file", "Token file"), form.get("do") == "import"
    if in_earnest:
        verify_checked(form, file)
    report = token_imports.import_tokens(
        visit.instance,
        visit.actor,
        file.content,
        password or None,
        now=visit.now,
        domain=form.get("domain", TOP_DOMAIN),
        dry_run=not in_earnest,
    )
    return _page(visit, report, file.name, "" if in_earnest else fingerprint(file))


def _page(visit: Visit, report: TokenImportReport | None, name: str = "", checked: str = "") -> Reply:
    refusals = report.refusals if report else ()
    return visit.show(
        "tokens/import.html",
        report=report,
        name=name,
        checked=checked,
        refusals=refusals[:_SHOWN],
        reasons=Counter(refusal.reason for refusal in refusals).most_common(),
        largest=FILE,
        domains=domain_options(visit, Permission.TOKEN_IMPORT),
        files=token_imports.list_imports(visit.instance, visit.actor),
    )
