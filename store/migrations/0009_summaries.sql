-- Kept summaries, so that no page of the administration reads events or people
-- to count them (decision 25).

-- counted_as is one of a few words that the event is counted under, and is
-- emptied when it has been; counts is for how many things the event stands.
ALTER TABLE events ADD COLUMN counted_as @text NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN counts @int NOT NULL DEFAULT 1;

-- No foreign key, as events have none. hour is of the event's own time, since 1970.
CREATE TABLE event_counts (
  company @text NOT NULL,
  type @text NOT NULL,
  hour @int NOT NULL,
  result @text NOT NULL,
  detail @text NOT NULL,
  n @int NOT NULL CHECK (n >= 0),
  PRIMARY KEY (company, type, hour, result, detail)
) @strict;

CREATE INDEX event_counts_age ON event_counts (hour);

-- Few rows each, and untouched by a sign-in that goes well. With what is asked in
-- them, SQLite needs no other tree and so uses them.
CREATE INDEX factors_wrong ON factors (company, user_id, tries_s, tries_k) WHERE tries_s >= 3 OR tries_k >= 3;
CREATE INDEX users_grace ON users (company, grace_at, had_factor_at) WHERE grace_at > 0 AND had_factor_at = 0;
CREATE INDEX users_password_known ON users (company, password_known_at) WHERE password_known_at > 0;
CREATE INDEX users_exempt ON users (company, exempt_until) WHERE exempt_until > 0;
