"""Commands for users, roles and security domains."""
