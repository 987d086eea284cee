"""Many rows at once, in the caller's transaction: PostgreSQL gets them by COPY, SQLite by one call of its driver."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from sparekey.storage.driver import as_elsewhere, postgresql_driver


def insert_many(
    connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Insert rows that each have all of these columns. Raises the same errors as a single INSERT."""
    if not rows:
        return
    names = ", ".join(columns)
    driver = postgresql_driver(connection)
    if driver is None:
        marks = ", ".join(f":{name}" for name in columns)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), list(rows))  # noqa: S608 -- names of ours
        return
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row([row[name] for name in columns])
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_elsewhere(connection, driver, error) from error
