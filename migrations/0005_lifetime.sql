-- How old a session of a stream may get: 90s, 12h; 0: as old as it likes; NULL: as the service is
-- set.

ALTER TABLE streams ADD COLUMN lifetime TEXT CHECK (lifetime <> '');

-- NULL in events from before this, too, and where the stream is gone.
ALTER TABLE stream_events ADD COLUMN lifetime TEXT;

DROP VIEW mappings;
-- What is mapped now; `since` is when the port got its present backend.
CREATE VIEW mappings AS
SELECT
  s.port, s.backend, s.state, s.reason,
  coalesce((SELECT max(e.at) FROM stream_events AS e
            WHERE e.port = s.port AND e.action IN ('created', 'changed')
              AND e.backend_after = s.backend
              AND e.backend_before IS NOT e.backend_after), s.created_at) AS since,
  s.created_by, s.label, s.owner, s.expires_at, s.durable, s.lifetime
FROM streams AS s
ORDER BY s.port;
