"""Adapters that send events of the audit log to a syslog collector."""
