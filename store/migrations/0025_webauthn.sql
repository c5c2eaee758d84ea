-- Credentials of people's devices (N1). hash is SHA-256 of the credential's id, which
-- no two people of the server have.

CREATE TABLE passkeys (
  hash @blob NOT NULL PRIMARY KEY,
  company @text NOT NULL,
  user_id @text NOT NULL,
  factor @text NOT NULL,
  FOREIGN KEY (company, user_id, factor) REFERENCES factors (company, user_id, id) ON DELETE CASCADE
) @strict;

CREATE UNIQUE INDEX passkeys_factor ON passkeys (company, user_id, factor);

-- Questions of whole sign-ins by a credential, until they are answered (std-72). hash is
-- of the challenge, browser a keyed hash; kept is sealed for its row.
CREATE TABLE passkey_asks (
  company @text NOT NULL,
  hash @blob NOT NULL,
  browser @blob NOT NULL,
  kept @blob NOT NULL,
  created_at @int NOT NULL,
  expires_at @int NOT NULL,
  PRIMARY KEY (company, hash)
) @strict;

CREATE INDEX passkey_asks_age ON passkey_asks (expires_at);
