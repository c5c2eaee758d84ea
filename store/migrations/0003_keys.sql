-- Keys of programs. token is a keyed hash that also covers what the key may do,
-- from where and until when, so that editing the row makes the key worthless.
CREATE TABLE api_keys (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  name @text NOT NULL,
  scopes @json NOT NULL,
  networks @json NOT NULL,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  last_used_at @int NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE UNIQUE INDEX api_keys_name ON api_keys (company, name);

CREATE INDEX api_keys_user ON api_keys (company, user_id);
