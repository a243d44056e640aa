-- History that is older than HISTORY_KEEP is deleted, and the database says from when on it is
-- complete. What is older and was kept is the state of each port at that time: its last event, and
-- the events that created its stream and gave it its backend.

-- At most one row; none: no event was ever deleted.
CREATE TABLE history_start (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  at         TEXT NOT NULL CHECK (at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  deleted_id INTEGER NOT NULL CHECK (deleted_id >= 1)  -- the highest id of a deleted event
) STRICT;

-- Rows of stream_events are added, and deleted once the history begins later.
DROP TRIGGER IF EXISTS stream_events_no_delete;
CREATE TRIGGER stream_events_no_delete BEFORE DELETE ON stream_events
WHEN NOT EXISTS (SELECT 1 FROM history_start WHERE at >= OLD.at)
BEGIN SELECT RAISE(ABORT, 'stream_events is append-only'); END;

DROP VIEW IF EXISTS mapping_periods;
-- Who held a port, from when until when (NULL: still). "Who held 9007 at 14:03":
--   SELECT backend FROM mapping_periods WHERE port = 9007 AND held_from <= '2026-11-01T14:03:00'
--     AND (held_until IS NULL OR held_until > '2026-11-01T14:03:00');
-- A period begins with any event that names another backend than the one before, so rows written
-- by hand count from when the service took them up. Periods that ended before the history begins
-- are left out: the events between the ones that were kept are not known.
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
  AND (next_at IS NULL OR next_at > coalesce((SELECT at FROM history_start), ''))
ORDER BY port, id;
