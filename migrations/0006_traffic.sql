-- What each stream has carried since `since`, as it was at saved_at: written once a minute where it
-- has changed, and at a stop. A stream that has carried nothing has no row.

CREATE TABLE traffic (
  port               INTEGER PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
  since              TEXT NOT NULL CHECK (since GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  saved_at           TEXT NOT NULL CHECK (saved_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  -- The same moment by a clock that nobody sets, for the service: CLOCK_MONOTONIC, and of which boot
  -- (/proc/sys/kernel/random/boot_id; empty where it cannot be read, as in a sandbox).
  boot_id            TEXT NOT NULL,
  monotonic_ms       INTEGER NOT NULL CHECK (monotonic_ms >= 0),
  sessions           INTEGER NOT NULL CHECK (sessions >= 0),
  bytes_in           INTEGER NOT NULL CHECK (bytes_in >= 0),   -- from clients, taken by the backend
  bytes_out          INTEGER NOT NULL CHECK (bytes_out >= 0),  -- from the backend, taken by clients
  -- How many of the sessions ended so.
  finished           INTEGER NOT NULL CHECK (finished >= 0),
  client_reset       INTEGER NOT NULL CHECK (client_reset >= 0),
  backend_reset      INTEGER NOT NULL CHECK (backend_reset >= 0),
  backend_refused    INTEGER NOT NULL CHECK (backend_refused >= 0),
  backend_timeout    INTEGER NOT NULL CHECK (backend_timeout >= 0),
  backend_unresolved INTEGER NOT NULL CHECK (backend_unresolved >= 0),
  idle_timeout       INTEGER NOT NULL CHECK (idle_timeout >= 0),
  lifetime           INTEGER NOT NULL CHECK (lifetime >= 0),
  denied             INTEGER NOT NULL CHECK (denied >= 0),
  "limit"            INTEGER NOT NULL CHECK ("limit" >= 0),
  drained            INTEGER NOT NULL CHECK (drained >= 0),
  killed             INTEGER NOT NULL CHECK (killed >= 0),
  internal           INTEGER NOT NULL CHECK (internal >= 0)
) STRICT;

-- By whoever the stream is removed.
CREATE TRIGGER streams_traffic_goes_along AFTER DELETE ON streams
BEGIN DELETE FROM traffic WHERE port = OLD.port; END;
