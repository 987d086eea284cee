"""Policies and the domains in which each is in force."""
