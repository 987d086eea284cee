"""Adapters that send the events of the audit log to a syslog collector."""
