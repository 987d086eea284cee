"""Accounts, the domains that own them, and roles."""
