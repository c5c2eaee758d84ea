-- Where people are sent back to, and what they carry there (rul-57, rul-22).

CREATE TABLE return_addresses (
  company @text NOT NULL,
  address @text NOT NULL,
  key_id @text NOT NULL,
  added_by @text NOT NULL,
  added_at @int NOT NULL,
  PRIMARY KEY (company, address),
  FOREIGN KEY (company, key_id) REFERENCES api_keys (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX return_addresses_key ON return_addresses (company, key_id, address);

-- seal is a keyed hash of all that the row says but for used_at; token covers it.
CREATE TABLE handles (
  company @text NOT NULL,
  id @text NOT NULL,
  user_id @text NOT NULL,
  key_id @text NOT NULL,
  kind @text NOT NULL,
  sign_in @text NOT NULL,
  address @text NOT NULL,
  nonce @text NOT NULL,
  action @text NOT NULL,
  request_hash @text NOT NULL,
  acr @text NOT NULL,
  amr @json NOT NULL,
  auth_time @int NOT NULL,
  epoch @int NOT NULL,
  made_at @int NOT NULL,
  expires_at @int NOT NULL,
  used_at @int NOT NULL,
  seal @blob NOT NULL,
  token @blob NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE,
  FOREIGN KEY (company, key_id) REFERENCES api_keys (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX handles_user ON handles (company, user_id);

CREATE INDEX handles_key ON handles (company, key_id);

CREATE INDEX handles_age ON handles (expires_at);

-- The program that checked the first step of a sign-in.
ALTER TABLE attempts ADD COLUMN caller @json NOT NULL DEFAULT '';
