-- What people need on the days when things are not as planned: codes that are
-- sent, backup codes, links, and messages that wait to be sent.

ALTER TABLE companies ADD COLUMN support @text NOT NULL DEFAULT '';

ALTER TABLE users ADD COLUMN email_changed_at @int NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN secured_at @int NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN preferred @text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN had_factor_at @int NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN grace_at @int NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN first_ever @bool NOT NULL DEFAULT @false;

-- owner repeats what roles says, so that owners are found without reading everybody.
ALTER TABLE users ADD COLUMN owner @bool NOT NULL DEFAULT @false;
UPDATE users SET owner = @true WHERE roles LIKE '%"owner"%';
UPDATE users SET had_factor_at = COALESCE((SELECT MIN(f.confirmed_at) FROM factors f WHERE f.company = users.company
  AND f.user_id = users.id AND f.kind <> 'password' AND f.confirmed_at > 0), 0);
CREATE INDEX users_owners ON users (company, owner, id) WHERE owner;

ALTER TABLE sessions ADD COLUMN name @text NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN factor @text NOT NULL DEFAULT '';

-- With seq in it, SQLite needs no other tree to find what is not sealed, and so
-- uses it; without, it read the events of a company from the first one on.
DROP INDEX events_unsealed;
CREATE INDEX events_unsealed ON events (company, seq, id) WHERE seq IS NULL;

-- factors anew, because a state was added: a row in state fallback only carries
-- the count of wrong codes to a contact (requirement C1).
CREATE TABLE factors_2 (
  company @text NOT NULL,
  user_id @text NOT NULL,
  id @text NOT NULL,
  kind @text NOT NULL,
  state @text NOT NULL CHECK (state IN ('pending', 'active', 'asleep', 'fallback')),
  name @text NOT NULL,
  sealed @blob NOT NULL,
  data @json NOT NULL,
  last_step @int NOT NULL,
  epoch @int NOT NULL,
  attempt @text NOT NULL,
  tries_s @int NOT NULL CHECK (tries_s >= 0),
  paused_s @int NOT NULL,
  tries_k @int NOT NULL CHECK (tries_k >= 0),
  paused_k @int NOT NULL,
  created_at @int NOT NULL,
  confirmed_at @int NOT NULL,
  last_used_at @int NOT NULL,
  expires_at @int NOT NULL,
  left_over @int NOT NULL CHECK (left_over >= 0),
  probation_until @int NOT NULL,
  PRIMARY KEY (company, user_id, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

INSERT INTO factors_2 SELECT company, user_id, id, kind, state, name, sealed, data, last_step, epoch, attempt, tries_s, paused_s,
  tries_k, paused_k, created_at, confirmed_at, last_used_at, expires_at, 0, 0 FROM factors;
DROP TABLE factors;
ALTER TABLE factors_2 RENAME TO factors;

CREATE UNIQUE INDEX factors_active ON factors (company, user_id, kind)
  WHERE state = 'active' AND kind <> 'webauthn';
CREATE UNIQUE INDEX factors_pending ON factors (company, user_id, kind)
  WHERE state = 'pending' AND kind <> 'webauthn';
CREATE UNIQUE INDEX factors_fallback ON factors (company, user_id, kind)
  WHERE state = 'fallback';
CREATE INDEX factors_expiry ON factors (expires_at) WHERE state = 'pending';
CREATE INDEX factors_bypass ON factors (expires_at) WHERE kind = 'bypass_code';
CREATE INDEX factors_shown ON factors (created_at) WHERE kind = 'backup_code' AND length(sealed) > 0;

-- Backup codes. prefix picks the one that a typed code can be; sealed is a slow
-- hash under the company's key (decision 6).
CREATE TABLE saved_codes (
  company @text NOT NULL,
  user_id @text NOT NULL,
  factor @text NOT NULL,
  n @int NOT NULL,
  prefix @text NOT NULL,
  sealed @blob NOT NULL,
  used_at @int NOT NULL,
  PRIMARY KEY (company, user_id, factor, n),
  FOREIGN KEY (company, user_id, factor) REFERENCES factors (company, user_id, id) ON DELETE CASCADE
) @strict;

-- Codes that were sent. The code is derived from the nonce and everything else
-- here, under the company's key; nothing here shows it (rul-15).
CREATE TABLE challenges (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  attempt @text NOT NULL,
  factor @text NOT NULL,
  kind @text NOT NULL,
  purpose @text NOT NULL,
  destination @blob NOT NULL,
  nonce @blob NOT NULL,
  key_id @text NOT NULL,
  lane @text NOT NULL CHECK (lane IN ('stranger', 'known')),
  sends @int NOT NULL,
  sent_at @int NOT NULL,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  consumed @bool NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX challenges_user ON challenges (company, user_id, created_at);
CREATE INDEX challenges_age ON challenges (created_at);

-- token is a keyed hash over the token, the purpose and the person.
CREATE TABLE links (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  purpose @text NOT NULL,
  mailed @bool NOT NULL,
  epoch @int NOT NULL,
  event @text NOT NULL,
  args @blob NOT NULL,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  used_at @int NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX links_user ON links (company, user_id);
CREATE INDEX links_expiry ON links (expires_at);

-- Messages that wait to be sent. sealed holds the address and what the texts
-- need; a row goes only when a provider has taken the message, or it was given
-- up with an event (rul-35).
CREATE TABLE outbox (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  channel @text NOT NULL,
  template @text NOT NULL,
  challenge @text NOT NULL,
  sealed @blob NOT NULL,
  at @int NOT NULL,
  expires_at @int NOT NULL,
  next_at @int NOT NULL,
  tries @int NOT NULL,
  reason @text NOT NULL,
  PRIMARY KEY (company, id)
) @strict;

CREATE INDEX outbox_next ON outbox (next_at);
CREATE INDEX outbox_user ON outbox (company, user_id);
