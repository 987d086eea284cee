"""Commands for the audit log and alarms."""
