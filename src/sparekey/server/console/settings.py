"""Administration > Settings and Instances: the settings of the server and its state, read-only."""

from typing import Any, Final

import sparekey
from sparekey.app.server.state import MOST_WAITING, ServerState, look_at_server
from sparekey.core.permissions import Permission
from sparekey.core.plurals import counted
from sparekey.secret import Secret
from sparekey.server.settings import SETTINGS, Setting, Settings
from sparekey.server.web.page_results import Reply
from sparekey.server.web.pages import Pages
from sparekey.server.web.visits import Visit
from sparekey.server.web.words import distance

pages = Pages("/console")
_GROUPS: Final = (
    ("Answering", ("listen", "names", "tls", "certificate", "key", "ca", "admin_networks")),
    ("Database", ("database",)),
    ("Work", ("workers", "sign_in_threads", "sealing_workers", "sync_interval", "refusal_floor_ms")),
    (
        "Mail",
        ("smtp_host", "smtp_port", "smtp_tls", "smtp_ca", "smtp_user", "smtp_password", "mail_from", "alarm_mail"),
    ),
    ("Events and log", ("syslog", "syslog_ca", "log_level")),
)
_LATE: Final = 900  # seconds that a notice may wait
_BEHIND: Final = 60  # batches: a minute of a busy server
_KINDS: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@pages.get("/settings", Permission.INSTANCE_MANAGE)
def settings(visit: Visit) -> Reply:
    state = look_at_server(visit.instance, visit.actor)
    return visit.show("settings/show.html", groups=_groups(visit.settings), checks=_checks(visit, state))


@pages.get("/instances", Permission.INSTANCE_MANAGE)
def instances(visit: Visit) -> Reply:
    """Return the page of this instance, the only one that is known."""
    state = look_at_server(visit.instance, visit.actor)
    return visit.show(
        "settings/instances.html",
        state=state,
        version=sparekey.__version__,
        database=_database(state),
        workers=visit.settings.workers,
        listen=visit.settings.listen,
        names=visit.settings.names,
    )


def _groups(settings: Settings) -> list[tuple[str, list[tuple[Setting, str, bool]]]]:
    """Return each setting with its value as text, and True if it differs from the default."""
    named = {name for _, names in _GROUPS for name in names}
    groups = [*_GROUPS, ("Others", tuple(name for name in SETTINGS if name not in named))]
    return [(title, [_row(settings, SETTINGS[name]) for name in names]) for title, names in groups if names]


def _row(settings: Settings, setting: Setting) -> tuple[Setting, str, bool]:
    value: Any = getattr(settings, setting.name)
    if setting.is_secret or isinstance(value, Secret):
        is_set = bool(value.reveal())
        return setting, "set (not shown)" if is_set else "", is_set
    words = ", ".join(value) if isinstance(value, tuple) else str(value)
    return setting, words, value != setting.default


def _checks(visit: Visit, state: ServerState) -> list[tuple[str, bool, str]]:
    """Return the checks: a name, True if the state is good, and details."""
    mail, told = visit.settings.smtp_host, f"; last error: {state.last_mail_error}" if state.last_mail_error else ""
    late = state.notices_since is not None and state.notices_since < visit.now - _LATE
    behind = state.batch - (state.forwarded or 0)
    chained = "no events signed yet"
    if state.signed_at is not None:
        chained = f"batch {state.batch}, signed {distance(state.signed_at, visit.now)}"
    return [
        ("Database", True, _database(state)),
        ("Audit log", state.unchained < MOST_WAITING, f"{chained}; {counted(state.unchained, 'event')} not yet signed"),
        (
            "Mail",
            bool(mail) and not late,
            f"{counted(state.notices, 'notice')} waiting, {state.given_up} given up{told}"
            if mail
            else "no mail server is set up: no mails are sent",
        ),
        (
            "Events to a collector",
            not visit.settings.syslog or behind <= _BEHIND,
            f"{counted(behind, 'batch', 'batches')} behind"
            if visit.settings.syslog
            else "no collector is set up: events are not forwarded",
        ),
    ]


def _database(state: ServerState) -> str:
    return _KINDS.get(state.database, state.database)
