-- Proofs for applications: the actions that they ask people to confirm, and what
-- people confirmed.

CREATE TABLE actions (
  company @text NOT NULL,
  name @text NOT NULL,
  title @text NOT NULL,
  titles @json NOT NULL,
  audience @text NOT NULL,
  PRIMARY KEY (company, name),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

-- seal is a keyed hash of all that the row says but for used_at; token covers it.
CREATE TABLE grants (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  sign_in @text NOT NULL,
  kind @text NOT NULL,
  action @text NOT NULL,
  request_hash @text NOT NULL,
  acr @text NOT NULL,
  amr @json NOT NULL,
  epoch @int NOT NULL,
  made_at @int NOT NULL,
  expires_at @int NOT NULL,
  used_at @int NOT NULL,
  seal @blob NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX grants_of ON grants (company, user_id, sign_in, action);

CREATE INDEX grants_age ON grants (expires_at);

-- What a step-up for an application was begun for.
ALTER TABLE attempts ADD COLUMN wants @json NOT NULL DEFAULT '';
