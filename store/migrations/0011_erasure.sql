-- What stays of people and companies that were erased.

-- Of a person: that there was one, so that the id is never given again and the
-- log can say why it does not (requirement K2).
CREATE TABLE tombstones (
  company @text NOT NULL,
  user_id @text NOT NULL,
  at @int NOT NULL,
  by_id @text NOT NULL,
  PRIMARY KEY (company, user_id)
) @strict;

-- Of a company: its row, with the time and without anything else. From erased_at
-- on nobody finds it; purged_at is when nothing of it was left.
ALTER TABLE companies ADD COLUMN erased_at @int NOT NULL DEFAULT 0;
ALTER TABLE companies ADD COLUMN purged_at @int NOT NULL DEFAULT 0;

CREATE INDEX companies_erased ON companies (id) WHERE erased_at > 0 AND purged_at = 0;
