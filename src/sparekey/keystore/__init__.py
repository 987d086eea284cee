"""Adapters of the keystore port: stores of the keys that encrypt secrets in the database."""
