-- People whom a host program's own table knows (rul-36); empty: Sallyport keeps them.
ALTER TABLE users ADD COLUMN external_id @text NOT NULL DEFAULT '';

-- Whose a host program's id is. subject is a keyed hash of the id, seal one of the id
-- and the user. The row stays when the user is erased: no id is ever somebody else's.
CREATE TABLE external_ids (
  company @text NOT NULL,
  subject @blob NOT NULL,
  user_id @text NOT NULL,
  seal @blob NOT NULL,
  PRIMARY KEY (company, subject)
) @strict;
