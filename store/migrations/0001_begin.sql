-- Times are microseconds since 1970; 0 is "never". Every key begins with the
-- company. Words that begin with @ differ between the databases (schema.go).

CREATE TABLE companies (
  id @text NOT NULL PRIMARY KEY,
  slug @text NOT NULL,
  name @text NOT NULL,
  policy @json NOT NULL,
  policy_version @int NOT NULL,
  created_at @int NOT NULL
) @strict;

CREATE UNIQUE INDEX companies_slug ON companies (slug);

-- Apart from companies, so that a backup can leave it out and destroying a row
-- makes everything of that company unreadable (rul-38, rul-54).
CREATE TABLE company_keys (
  company @text NOT NULL PRIMARY KEY,
  wrapped @blob NOT NULL
) @strict;

-- person_key seals what events say of this person; without it the events stay
-- and say nothing (rul-40).
CREATE TABLE users (
  company @text NOT NULL,
  id @text NOT NULL,
  login @text NOT NULL,
  email @text NOT NULL,
  email_verified_at @int NOT NULL,
  name @text NOT NULL,
  locale @text NOT NULL,
  audience @text NOT NULL,
  status @text NOT NULL,
  roles @json NOT NULL,
  require_two_factor @bool NOT NULL,
  epoch @int NOT NULL,
  password_changed_at @int NOT NULL,
  wrong_in_row @int NOT NULL,
  wrong_in_month @int NOT NULL,
  month_start @int NOT NULL,
  password_known_at @int NOT NULL,
  created_at @int NOT NULL,
  person_key @blob,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company) REFERENCES companies (id)
) @strict;

-- One namespace of canonical names, for login names and e-mail addresses (rul-42).
CREATE TABLE logins (
  company @text NOT NULL,
  name @text NOT NULL,
  user_id @text NOT NULL,
  kind @text NOT NULL CHECK (kind IN ('name', 'email')),
  PRIMARY KEY (company, name),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX logins_user ON logins (company, user_id);

-- tries and paused exist once for each lane: _s strangers, _k known browsers (rul-10).
CREATE TABLE factors (
  company @text NOT NULL,
  user_id @text NOT NULL,
  id @text NOT NULL,
  kind @text NOT NULL,
  state @text NOT NULL CHECK (state IN ('pending', 'active', 'asleep')),
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
  PRIMARY KEY (company, user_id, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE UNIQUE INDEX factors_active ON factors (company, user_id, kind)
  WHERE state = 'active' AND kind <> 'webauthn';

CREATE UNIQUE INDEX factors_pending ON factors (company, user_id, kind)
  WHERE state = 'pending' AND kind <> 'webauthn';

CREATE INDEX factors_expiry ON factors (expires_at) WHERE state = 'pending';

-- Wrong passwords. who is a keyed hash of the user, or of a name that leads to
-- nobody: people type passwords there (rul-6).
CREATE TABLE throttles (
  company @text NOT NULL,
  who @blob NOT NULL,
  tries_s @int NOT NULL CHECK (tries_s >= 0),
  paused_s @int NOT NULL,
  tries_k @int NOT NULL CHECK (tries_k >= 0),
  paused_k @int NOT NULL,
  updated_at @int NOT NULL,
  PRIMARY KEY (company, who)
) @strict;

CREATE INDEX throttles_age ON throttles (updated_at);

CREATE TABLE attempts (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  purpose @text NOT NULL,
  state @text NOT NULL,
  version @int NOT NULL,
  proofs @json NOT NULL,
  lane @text NOT NULL CHECK (lane IN ('stranger', 'known')),
  session_id @text NOT NULL,
  action @text NOT NULL,
  return_to @text NOT NULL,
  epoch @int NOT NULL,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  token @blob NOT NULL,
  browser @blob,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX attempts_user ON attempts (company, user_id);

CREATE INDEX attempts_expiry ON attempts (expires_at);

-- ends_at is the earlier of expires_at and last_seen_at + idle.
CREATE TABLE sessions (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  epoch @int NOT NULL,
  amr @json NOT NULL,
  acr @text NOT NULL,
  auth_time @int NOT NULL,
  factor_time @int NOT NULL,
  confirmed_at @int NOT NULL,
  created_at @int NOT NULL,
  last_seen_at @int NOT NULL,
  expires_at @int NOT NULL,
  ends_at @int NOT NULL,
  idle @int NOT NULL,
  agent @text NOT NULL,
  attempt @text NOT NULL,
  return_to @text NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX sessions_user ON sessions (company, user_id);

CREATE INDEX sessions_expiry ON sessions (ends_at);

-- Browsers that completed a sign-in of this person (rul-10, rul-47), hashed.
CREATE TABLE devices (
  company @text NOT NULL,
  user_id @text NOT NULL,
  browser @blob NOT NULL,
  used_at @int NOT NULL,
  PRIMARY KEY (company, user_id, browser),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

-- No foreign key: events outlive the people they are about. person names the
-- user under whose key personal is sealed; empty: the company's. commitment
-- is a salted hash of personal; the salt is sealed with it (rul-40).
CREATE TABLE events (
  company @text NOT NULL,
  id @text NOT NULL,
  type @text NOT NULL,
  actor @text NOT NULL,
  target @text NOT NULL,
  result @text NOT NULL,
  at @int NOT NULL,
  person @text NOT NULL,
  personal @blob,
  commitment @blob NOT NULL,
  seq @int,
  prev @blob,
  hash @blob,
  PRIMARY KEY (company, id)
) @strict;

CREATE INDEX events_target ON events (company, target, id) WHERE target <> '';

CREATE INDEX events_unsealed ON events (company, id) WHERE seq IS NULL;

CREATE UNIQUE INDEX events_seq ON events (company, seq) WHERE seq IS NOT NULL;

-- The end of each company's chain of sealed events.
CREATE TABLE chains (
  company @text NOT NULL PRIMARY KEY,
  seq @int NOT NULL,
  hash @blob NOT NULL
) @strict;

CREATE TABLE leases (
  name @text NOT NULL PRIMARY KEY,
  holder @text NOT NULL,
  expires_at @int NOT NULL
) @strict;

CREATE TABLE meta (
  name @text NOT NULL PRIMARY KEY,
  value @text NOT NULL
) @strict;
