-- Sessions that this host had no descriptor, memory, source port or route for, and sessions whose
-- client left without a byte either way.

ALTER TABLE traffic ADD COLUMN host INTEGER NOT NULL DEFAULT 0 CHECK (host >= 0);
ALTER TABLE traffic ADD COLUMN empty INTEGER NOT NULL DEFAULT 0 CHECK (empty >= 0);
