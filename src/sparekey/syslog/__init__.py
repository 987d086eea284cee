"""Adapters that hand the record's events to a syslog collector."""
