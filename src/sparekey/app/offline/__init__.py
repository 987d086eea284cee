"""Offline data of a device: what a contact delivers, how a unit is sealed, what the device reports back."""
