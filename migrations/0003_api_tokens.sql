-- Who may use the API by a token. A token itself is nowhere: only its SHA-256 is kept. One that is
-- revoked stays as a row, and its name is free again.

CREATE TABLE api_tokens (
  id           INTEGER PRIMARY KEY,
  name         TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64
                                    AND name NOT GLOB '*[^A-Za-z0-9._-]*'),
  role         TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
  ports        TEXT CHECK (ports <> ''),  -- as in PORT_RANGE: whose streams it may change; NULL: all
  sha256       TEXT NOT NULL UNIQUE CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) CHECK (created_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  expires_at   TEXT CHECK (expires_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  last_used_at TEXT CHECK (last_used_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  revoked_at   TEXT CHECK (revoked_at GLOB
    '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]Z'),
  CHECK (role <> 'admin' OR ports IS NULL)
) STRICT;
CREATE UNIQUE INDEX api_tokens_by_name ON api_tokens (name) WHERE revoked_at IS NULL;

-- The tokens as people want to see them. To revoke one by hand:
--   UPDATE api_tokens SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE name = 'ci';
CREATE VIEW tokens AS
SELECT
  name, role, coalesce(ports, 'all') AS ports, created_at, expires_at, last_used_at,
  CASE
    WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN expires_at <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now') THEN 'expired'
    ELSE 'active'
  END AS state
FROM api_tokens
ORDER BY name, id;
