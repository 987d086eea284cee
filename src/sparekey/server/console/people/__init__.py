"""Pages of users, roles and security domains."""
