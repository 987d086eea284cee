"""Import users from a CSV file: it is checked first, then imported; rejected lines are listed.

Only the file that was checked is imported: the form carries its fingerprint.
"""

from typing import Any, Final

from sparekey.app.people import imports as user_imports
from sparekey.app.people.imports import UserImportReport
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.server.console.forms.checked_files import fingerprint, verify_checked
from sparekey.server.console.forms.choices import domain_options
from sparekey.server.web.fields import SentFile
from sparekey.server.web.page_results import Redirect, Reply
from sparekey.server.web.pages import FILE, Pages
from sparekey.server.web.visits import Visit

pages = Pages("/console/user-imports")
_SHOWN: Final = 200  # refused lines


@pages.get("", Permission.USER_ADD)
def form(visit: Visit) -> Reply:
    """Return the form."""
    return _page(visit)


@pages.post("", Permission.USER_ADD, again=form, largest=FILE)
def import_users(visit: Visit) -> Reply:
    """Check a file; import its users if `do` is import."""
    file = visit.form.file("file", "CSV file")
    if visit.form.get("do") != "import":
        return _page(visit, report=_import(visit, file, dry_run=True), checked=fingerprint(file), name=file.name)
    verify_checked(visit.form, file)
    report = _import(visit, file, dry_run=False)
    if report.refusals:
        return _page(visit, report=report, name=file.name)
    return Redirect("/console/users", f"{counted(report.added, 'user')} imported.")


def _page(visit: Visit, **more: Any) -> Reply:
    places = domain_options(visit, Permission.USER_ADD)
    given = {"report": None, "checked": "", "name": "", "most": _SHOWN, "largest": FILE}
    return visit.show("users/import.html", places=places, **given | more)


def _import(visit: Visit, file: SentFile, *, dry_run: bool) -> UserImportReport:
    domain = visit.form.text("domain", "Security domain", needed=True)
    return user_imports.import_users(
        visit.instance, visit.actor, file.content, now=visit.now, domain=domain, dry_run=dry_run
    )
