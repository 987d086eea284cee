"""Pages of the audit log and of alarms."""
