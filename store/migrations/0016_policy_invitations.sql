-- How far the people of a company were looked at whom a saved policy strands: those
-- up to after_user have their invitation (rul-2).
CREATE TABLE policy_invitations (
  company @text NOT NULL PRIMARY KEY,
  change @text NOT NULL,
  after_user @text NOT NULL,
  done @bool NOT NULL,
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;
