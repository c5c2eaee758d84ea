-- Forms of our own pages that wait for a step-up (rul-27). sealed opens only with the
-- cookie of the browser, of which browser is a keyed hash; it covers all columns.
CREATE TABLE forms (
  company @text NOT NULL,
  attempt @text NOT NULL,
  user_id @text NOT NULL,
  sign_in @text NOT NULL,
  epoch @int NOT NULL,
  browser @blob NOT NULL,
  sealed @blob NOT NULL,
  expires_at @int NOT NULL,
  PRIMARY KEY (company, attempt),
  FOREIGN KEY (company, attempt) REFERENCES attempts (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX forms_user ON forms (company, user_id, expires_at);

CREATE INDEX forms_age ON forms (expires_at);
