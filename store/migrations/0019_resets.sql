-- Passwords that were forgotten. A row is of a name that somebody typed: user_id is
-- empty where it leads to nobody, or to somebody to whom nothing is sent (rul-6).
-- who is the count that wrong codes are charged to.
CREATE TABLE resets (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  who @blob NOT NULL,
  lane @text NOT NULL CHECK (lane IN ('stranger', 'known')),
  state @text NOT NULL CHECK (state IN ('sent', 'proven', 'used')),
  version @int NOT NULL,
  epoch @int NOT NULL,
  destination @blob NOT NULL,
  nonce @blob NOT NULL,
  key_id @text NOT NULL,
  token @blob NOT NULL,
  browser @blob,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  PRIMARY KEY (company, id)
) @strict;

CREATE INDEX resets_who ON resets (company, who, created_at);
CREATE INDEX resets_user ON resets (company, user_id);
CREATE INDEX resets_age ON resets (created_at);

-- When the password was last chosen anew with nothing but a code by e-mail (rul-4).
ALTER TABLE users ADD COLUMN password_reset_at @int NOT NULL DEFAULT 0;
