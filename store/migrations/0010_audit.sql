-- Searching the event log, sending it elsewhere, and how long it is kept.

CREATE INDEX events_actor ON events (company, actor, id) WHERE actor <> '';

CREATE INDEX events_type ON events (company, type, id);

-- Months that events are kept; 0: for ever.
ALTER TABLE companies ADD COLUMN audit_keep_months @int NOT NULL DEFAULT 0;

-- Where the stream to a company's target stands: everything up to seq was taken.
-- tries and failed speak of the batch after it.
CREATE TABLE audit_streams (
  company @text NOT NULL,
  channel @text NOT NULL,
  seq @int NOT NULL,
  sent_at @int NOT NULL,
  next_at @int NOT NULL,
  tries @int NOT NULL,
  failed @text NOT NULL,
  PRIMARY KEY (company, channel),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

-- The last link of a chain whose beginning was deleted because it was old.
CREATE TABLE audit_anchors (
  company @text NOT NULL PRIMARY KEY,
  seq @int NOT NULL,
  hash @blob NOT NULL,
  deleted_at @int NOT NULL,
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

CREATE INDEX audit_streams_next ON audit_streams (next_at);

CREATE INDEX companies_keep ON companies (id) WHERE audit_keep_months > 0;
