-- Browsers in which the second step is skipped for a while. series is a keyed hash
-- of what stays of the token, token and previous are of the whole of it (rul-29).
-- browser is as in devices, and empty for what has no browser cookie.
CREATE TABLE trusted_browsers (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  epoch @int NOT NULL,
  policy_version @int NOT NULL,
  factor @text NOT NULL,
  agent @text NOT NULL,
  browser @blob NOT NULL,
  series @blob NOT NULL,
  token @blob NOT NULL,
  previous @blob NOT NULL,
  created_at @int NOT NULL,
  used_at @int NOT NULL,
  rotated_at @int NOT NULL,
  expires_at @int NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX trusted_browsers_user ON trusted_browsers (company, user_id);
CREATE INDEX trusted_browsers_end ON trusted_browsers (expires_at);

ALTER TABLE sessions ADD COLUMN trust @text NOT NULL DEFAULT '';
ALTER TABLE companies ADD COLUMN trust_version @int NOT NULL DEFAULT 0;
