-- Keys that are rolled, accounts of programs, and who holds a role of a
-- company's own.

-- old_token is what opened the key before it was rolled, hashed once more together
-- with old_until. told counts the letters before the end.
ALTER TABLE api_keys ADD COLUMN made_by @text NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN old_token @blob;
ALTER TABLE api_keys ADD COLUMN old_until @int NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN old_expires_at @int NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN used_from @text NOT NULL DEFAULT '';
ALTER TABLE api_keys ADD COLUMN told @int NOT NULL DEFAULT 0;

CREATE INDEX api_keys_end ON api_keys (told, expires_at);

-- What users.api means in detail (rul-21). limits is a keyed
-- hash of its networks and end.
CREATE TABLE api_accounts (
  company @text NOT NULL,
  user_id @text NOT NULL,
  networks @json NOT NULL,
  owner @text NOT NULL,
  reason @text NOT NULL,
  expires_at @int NOT NULL,
  created_at @int NOT NULL,
  created_by @text NOT NULL,
  last_used_at @int NOT NULL,
  used_from @text NOT NULL,
  told @int NOT NULL,
  limits @blob NOT NULL,
  PRIMARY KEY (company, user_id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX api_accounts_end ON api_accounts (told, expires_at);

-- Who holds a role that is not built in. users.roles says so; this counts them.
CREATE TABLE role_holders (
  company @text NOT NULL,
  role @text NOT NULL,
  user_id @text NOT NULL,
  PRIMARY KEY (company, role, user_id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX role_holders_user ON role_holders (company, user_id);

-- For the report of exemptions, and for those that end soon.
DROP INDEX users_exempt;
CREATE INDEX users_exempt ON users (company, id, exempt_until) WHERE exempt_until > 0;
