-- What a stream is beyond port and backend, and history that knows all of it. The tables are made
-- anew, because SQLite cannot change a CHECK.

DROP VIEW mapping_periods;
DROP VIEW mapping_history;
DROP VIEW mappings;

-- A row written by hand needs only port and backend.
CREATE TABLE new_streams (
  port            INTEGER PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
  backend         TEXT NOT NULL CHECK (backend <> ''),  -- host:port, [v6]:port
  listen_address  TEXT CHECK (listen_address <> ''),    -- NULL: as STREAM_ADDRESS says
  label           TEXT CHECK (label <> ''),
  note            TEXT CHECK (note <> ''),
  owner           TEXT CHECK (owner <> ''),
  enabled         INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  expires_at      TEXT CHECK (expires_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  max_sessions    INTEGER CHECK (max_sessions BETWEEN 1 AND 10000000),
  connect_timeout TEXT CHECK (connect_timeout <> ''),   -- 5s, 250ms; NULL: as the service is set
  idle_timeout    TEXT CHECK (idle_timeout <> ''),      -- 0: none; NULL: as the service is set
  state           TEXT NOT NULL DEFAULT 'listening'
    CHECK (state IN ('listening', 'failed', 'draining', 'disabled')),
  reason          TEXT,  -- why it failed, or why its latest client did not reach the backend
  created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CHECK (created_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CHECK (updated_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  created_by      TEXT NOT NULL DEFAULT 'sqlite3',
  revision        INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1)
) STRICT;
INSERT INTO new_streams (port, backend, state, reason, created_at, updated_at, created_by, revision)
SELECT port, backend, state, reason, created_at, updated_at, created_by, revision FROM streams;
DROP TABLE streams;
ALTER TABLE new_streams RENAME TO streams;

-- The history. Rows are only ever added. From listen_address on: the stream as the event left it,
-- NULL where that is not known or the stream is gone.
CREATE TABLE new_events (
  id              INTEGER PRIMARY KEY,
  at              TEXT NOT NULL CHECK (at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  action          TEXT NOT NULL CHECK (action IN
    ('created', 'changed', 'removed', 'opened', 'failed', 'reopened', 'expired')),
  port            INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  actor           TEXT,
  request_id      TEXT,
  backend_before  TEXT,
  backend_after   TEXT,
  detail          TEXT,
  listen_address  TEXT,
  label           TEXT,
  note            TEXT,
  owner           TEXT,
  enabled         INTEGER CHECK (enabled IN (0, 1)),
  expires_at      TEXT,
  max_sessions    INTEGER,
  connect_timeout TEXT,
  idle_timeout    TEXT,
  revision        INTEGER
) STRICT;
INSERT INTO new_events (id, at, action, port, actor, backend_before, backend_after, detail)
SELECT id, at, action, port, actor, backend_before, backend_after, detail FROM stream_events;
DROP TABLE stream_events;
ALTER TABLE new_events RENAME TO stream_events;

CREATE INDEX stream_events_by_port ON stream_events (port, id);  -- the last one of each port
CREATE INDEX stream_events_by_time ON stream_events (at);
CREATE INDEX stream_events_by_port_and_time ON stream_events (port, at);  -- how a port was when
CREATE INDEX stream_events_by_actor ON stream_events (actor, at);
CREATE INDEX stream_events_by_action ON stream_events (action, at);
CREATE INDEX stream_events_creations ON stream_events (port, at) WHERE action = 'created';

CREATE TRIGGER stream_events_no_update BEFORE UPDATE ON stream_events
BEGIN SELECT RAISE(ABORT, 'stream_events is append-only'); END;
CREATE TRIGGER stream_events_no_delete BEFORE DELETE ON stream_events
BEGIN SELECT RAISE(ABORT, 'stream_events is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above (recursive_triggers is off).
CREATE TRIGGER stream_events_no_replace BEFORE INSERT ON stream_events
WHEN EXISTS (SELECT 1 FROM stream_events WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'stream_events is append-only'); END;

-- What is mapped now; `since` is when the port got its present backend.
CREATE VIEW mappings AS
SELECT
  s.port, s.backend, s.state, s.reason,
  coalesce((SELECT max(e.at) FROM stream_events AS e
            WHERE e.port = s.port AND e.action IN ('created', 'changed')
              AND e.backend_after = s.backend
              AND e.backend_before IS NOT e.backend_after), s.created_at) AS since,
  s.created_by, s.label, s.owner, s.expires_at
FROM streams AS s
ORDER BY s.port;

-- What happened, as a story: in the order in which it was written, which is right even where the
-- host's clock was set back.
CREATE VIEW mapping_history AS
SELECT
  at, port,
  CASE action
    WHEN 'created' THEN 'created: leads to ' || coalesce(backend_after, '?')
    WHEN 'changed' THEN CASE
      WHEN backend_before IS NOT backend_after THEN
        'changed: ' || coalesce(backend_before, '?') || ' -> ' || coalesce(backend_after, '?')
      ELSE 'changed: leads to ' || coalesce(backend_after, '?') || ' as before' END
    WHEN 'removed' THEN 'removed: led to ' || coalesce(backend_before, '?')
    WHEN 'expired' THEN 'expired: led to ' || coalesce(backend_before, '?')
    WHEN 'opened' THEN 'opened: leads to ' || coalesce(backend_after, '?') || ' again'
    WHEN 'failed' THEN 'failed: could not be opened'
    WHEN 'reopened' THEN 'reopened: leads to ' || coalesce(backend_after, '?') || ' after a start'
  END AS what,
  actor, detail, request_id
FROM stream_events
ORDER BY id;

-- Who held a port, from when until when (NULL: still). "Who held 9007 at 14:03":
--   SELECT backend FROM mapping_periods WHERE port = 9007 AND held_from <= '2026-11-01T14:03:00'
--     AND (held_until IS NULL OR held_until > '2026-11-01T14:03:00');
-- A period begins with any event that names another backend than the one before, so rows written
-- by hand count from when the service took them up.
CREATE VIEW mapping_periods AS
WITH
  named AS (
    SELECT id, at, port, actor,
      CASE WHEN action IN ('removed', 'expired') THEN NULL ELSE backend_after END AS backend
    FROM stream_events
    WHERE action IN ('removed', 'expired') OR backend_after IS NOT NULL),
  compared AS (
    SELECT *, lag(backend) OVER (PARTITION BY port ORDER BY id) AS previous FROM named),
  turns AS (
    SELECT *, lead(at) OVER (PARTITION BY port ORDER BY id) AS next_at
    FROM compared WHERE backend IS NOT previous)
SELECT port, backend, at AS held_from, next_at AS held_until, actor AS created_by
FROM turns
WHERE backend IS NOT NULL
ORDER BY port, id;
