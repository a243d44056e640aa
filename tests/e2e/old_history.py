"""A database with streams that have a long history, as years of use would have left it."""

import contextlib
import sqlite3

EVENTS = """
INSERT INTO stream_events (at, action, port, actor, request_id, backend_before, backend_after,
                           detail, enabled, durable, revision)
WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < :count - 1)
SELECT
  strftime('%Y-%m-%dT%H:%M:%fZ', 'now', (:days * (i * 1.0 / :count - 1.0)) || ' days'),
  CASE WHEN i < :ports THEN 'created' WHEN i >= :count - :ports THEN 'opened'
    WHEN i / :ports % 3 = 0 THEN 'changed' WHEN i / :ports % 3 = 1 THEN 'failed' ELSE 'opened' END,
  :first + i % :ports, '127.0.0.1', printf('%032x', i),
  CASE WHEN i >= :ports THEN '127.0.0.1:7000' END, '127.0.0.1:7000',
  CASE WHEN i / :ports % 3 = 1 THEN 'port is in use by another process' END, 1, 'established', 1
FROM numbers
"""
STREAMS = """
INSERT INTO streams (port, backend, created_at, updated_at)
WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < :ports - 1)
SELECT :first + i, '127.0.0.1:7000', at, at
FROM numbers JOIN stream_events ON id = i + 1
"""


def fill(database, count, first_port, ports, days):
    """Fills an empty database of a stopped service with `count` events, evenly over these days."""
    values = {"count": count, "first": first_port, "ports": ports, "days": days}
    with contextlib.closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name = 'stream_events'").fetchall()
        with connection:
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}")
            connection.execute(EVENTS, values)
            connection.execute(STREAMS, values)
            for _, sql in indexes:
                connection.execute(sql)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
