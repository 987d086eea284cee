"""A sign-in on the device: online first, else decided here."""
