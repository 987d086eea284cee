"""What the server keeps: tables, queries by noun, the unit of work, migrations. SQLite and PostgreSQL alike."""
