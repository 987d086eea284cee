"""Offline data of devices: contacts, sealed units, offline keys and events."""
