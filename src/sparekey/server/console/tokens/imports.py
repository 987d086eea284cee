"""Import tokens from a file: looked at first, then taken in; what is refused is said line by line.

The file that is imported has to be the one that was checked: its fingerprint goes with the form.
"""

from collections import Counter
from typing import Final

from sparekey.app.instance import TOP_DOMAIN
from sparekey.app.tokens import imports as token_imports
from sparekey.app.tokens.imports import ImportReport
from sparekey.core.permissions import Permission
from sparekey.server.console.forms.checked_files import fingerprint, verify_checked
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.web.pages import FILE, Pages
from sparekey.server.web.replies import Reply
from sparekey.server.web.visits import Visit

pages = Pages("/console/token-imports")
_SHOWN: Final = 300  # refusals: a file may have very many


@pages.get("", Permission.TOKEN_IMPORT)
def imports(visit: Visit) -> Reply:
    """The form, and what was imported lately."""
    return _page(visit, None)


@pages.post("", Permission.TOKEN_IMPORT, again=imports, largest=FILE)
def import_tokens(visit: Visit) -> Reply:
    """With `do` import the tokens are taken in; else it is only said what would be."""
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


def _page(visit: Visit, report: ImportReport | None, name: str = "", checked: str = "") -> Reply:
    refusals = report.refusals if report else ()
    return visit.show(
        "tokens/import.html",
        report=report,
        name=name,
        checked=checked,
        refusals=refusals[:_SHOWN],
        reasons=Counter(each.reason for each in refusals).most_common(),
        largest=FILE,
        domains=domain_options(visit, Permission.TOKEN_IMPORT),
        files=token_imports.list_imports(visit.instance, visit.actor),
    )
