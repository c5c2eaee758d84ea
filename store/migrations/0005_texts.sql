-- Text messages and outside services: numbers of people, what no two people may
-- share, what an outside service said, and what messages may cost.

-- provides are the channels that a company has a provider of its own for, with
-- spaces between them, so that whoever loads a company knows.
ALTER TABLE companies ADD COLUMN provides @text NOT NULL DEFAULT '';
UPDATE companies SET provides = 'email' WHERE EXISTS (SELECT 1 FROM providers p
  WHERE p.company = companies.id AND p.channel = 'email' AND length(p.sealed) > 0);

ALTER TABLE users ADD COLUMN phone @text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN phone_trusted_at @int NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN phone_changed_at @int NOT NULL DEFAULT 0;

-- subject is a keyed hash of what no two people of a company have active at once,
-- such as a number; null: nothing.
ALTER TABLE factors ADD COLUMN subject @blob;
CREATE UNIQUE INDEX factors_subject ON factors (company, kind, subject)
  WHERE state = 'active' AND subject IS NOT NULL;

-- outcome is what an outside service made of a challenge; detail is sealed.
ALTER TABLE challenges ADD COLUMN outcome @text NOT NULL DEFAULT '';
ALTER TABLE challenges ADD COLUMN detail @blob;

-- What was counted of messages, in one window each (rul-13). subject of a hidden
-- one is a keyed hash; money is in thousandths of the company's currency.
CREATE TABLE budgets (
  company @text NOT NULL,
  scope @text NOT NULL,
  subject @text NOT NULL,
  from_at @int NOT NULL,
  until_at @int NOT NULL,
  hidden @bool NOT NULL,
  n @int NOT NULL CHECK (n >= 0),
  good @int NOT NULL CHECK (good >= 0),
  money @int NOT NULL CHECK (money >= 0),
  PRIMARY KEY (company, scope, subject, from_at),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

CREATE INDEX budgets_shown ON budgets (company, until_at) WHERE NOT hidden;

CREATE INDEX budgets_age ON budgets (until_at);

-- How sending goes through each of several providers of a channel, since the
-- settings got this version.
CREATE TABLE provider_health (
  company @text NOT NULL,
  channel @text NOT NULL,
  version @int NOT NULL,
  name @text NOT NULL,
  sent_at @int NOT NULL,
  failed_at @int NOT NULL,
  failed @text NOT NULL,
  PRIMARY KEY (company, channel, version, name),
  FOREIGN KEY (company, channel) REFERENCES providers (company, channel) ON DELETE CASCADE
) @strict;
