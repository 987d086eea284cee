"""Adapters of the keystore port: where the keys live that encrypt what the database holds."""
