-- What a company's policy was, version by version, with who saved it and why
-- (requirement G5), and how far people were told of one that is to come.

CREATE TABLE policy_versions (
  company @text NOT NULL,
  version @int NOT NULL,
  document @json NOT NULL,
  at @int NOT NULL,
  actor @text NOT NULL,
  reason @text NOT NULL,
  undo_of @int NOT NULL,
  summary @text NOT NULL,
  PRIMARY KEY (company, version),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

-- Who saved the versions that are there already is in the events.
INSERT INTO policy_versions SELECT id, policy_version, policy, created_at, '', '', 0, '' FROM companies;

-- One row for each company that has something to come: everybody up to after_user
-- was told, days before it begins.
CREATE TABLE policy_reminders (
  company @text NOT NULL PRIMARY KEY,
  rollout @text NOT NULL,
  days @int NOT NULL,
  after_user @text NOT NULL,
  done @bool NOT NULL,
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;
