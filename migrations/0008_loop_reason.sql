-- Sessions that ended because their connection runs into a ring of streams.

ALTER TABLE traffic ADD COLUMN loop INTEGER NOT NULL DEFAULT 0 CHECK (loop >= 0);
