"""The server's storage: tables, queries by noun, the unit of work, migrations. SQLite and PostgreSQL alike."""
