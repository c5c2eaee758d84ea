-- A company's own way to send the messages of a channel. sealed and previous
-- hold its settings, password included; empty: the server's way is used. A row
-- of version 0 only counts tests.

CREATE TABLE providers (
  company @text NOT NULL,
  channel @text NOT NULL,
  version @int NOT NULL,
  sealed @blob NOT NULL,
  previous @blob NOT NULL,
  previous_until @int NOT NULL,
  updated_at @int NOT NULL,
  updated_by @text NOT NULL,
  sent_at @int NOT NULL,
  failed_at @int NOT NULL,
  failed @text NOT NULL,
  tests @int NOT NULL,
  tests_from @int NOT NULL,
  PRIMARY KEY (company, channel),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

CREATE INDEX providers_previous ON providers (previous_until) WHERE previous_until > 0;
