-- What administrators decide about people: roles of a company's own, exemptions,
-- accounts of programs, and acts that wait for a second person.

ALTER TABLE companies ADD COLUMN roles @json NOT NULL DEFAULT '[]';
ALTER TABLE companies ADD COLUMN roles_version @int NOT NULL DEFAULT 0;

ALTER TABLE users ADD COLUMN api @bool NOT NULL DEFAULT @false;
ALTER TABLE users ADD COLUMN exempt_until @int NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN exempt_reason @text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN exempt_by @text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_sign_in_at @int NOT NULL DEFAULT 0;

-- An act on somebody with administrative rights waits here (rul-17, rul-20).
-- hash binds all that the act says; sealed holds it, with the reason.
CREATE TABLE approvals (
  company @text NOT NULL,
  id @text NOT NULL,
  act @text NOT NULL,
  target @text NOT NULL,
  requester @text NOT NULL,
  hash @text NOT NULL,
  sealed @blob NOT NULL,
  epoch @int NOT NULL,
  created_at @int NOT NULL,
  not_before @int NOT NULL,
  expires_at @int NOT NULL,
  approved_by @text NOT NULL,
  approved_at @int NOT NULL,
  cancelled_by @text NOT NULL,
  cancelled_at @int NOT NULL,
  used_at @int NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company, target) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX approvals_hash ON approvals (company, hash, requester);

CREATE INDEX approvals_target ON approvals (company, target);

CREATE INDEX approvals_age ON approvals (expires_at);

-- What a key may do without a recent proof of its owner (rul-21). token covers it.
ALTER TABLE api_keys ADD COLUMN unattended @json NOT NULL DEFAULT '[]';
