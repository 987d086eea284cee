"""Sparekey: two-factor sign-in that keeps working when the network, the server or the token is gone."""

__version__ = "0.1.0"
