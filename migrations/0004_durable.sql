-- From when on a stream's sessions outlive the process: off, never; established, once the backend
-- is reached and they are older than DURABLE_AFTER; early, from the moment a client is accepted.

ALTER TABLE streams ADD COLUMN durable TEXT NOT NULL DEFAULT 'established'
  CHECK (durable IN ('off', 'established', 'early'));

-- NULL in events from before this, and where the stream is gone.
ALTER TABLE stream_events ADD COLUMN durable TEXT CHECK (durable IN ('off', 'established', 'early'));

DROP VIEW mappings;
-- What is mapped now; `since` is when the port got its present backend.
CREATE VIEW mappings AS
SELECT
  s.port, s.backend, s.state, s.reason,
  coalesce((SELECT max(e.at) FROM stream_events AS e
            WHERE e.port = s.port AND e.action IN ('created', 'changed')
              AND e.backend_after = s.backend
              AND e.backend_before IS NOT e.backend_after), s.created_at) AS since,
  s.created_by, s.label, s.owner, s.expires_at, s.durable
FROM streams AS s
ORDER BY s.port;
