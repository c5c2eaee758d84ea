-- Lists of people: what policy sees of each, how many of a company are alike, and
-- the words that lead to somebody.

-- shape is authn.Shape; reshape_at is when it changes by itself (an exemption that
-- ends), 0: never, 1: it was never made. Rows from before are filled in at the start.
ALTER TABLE users ADD COLUMN shape @text NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN reshape_at @int NOT NULL DEFAULT 1;
-- import_id names the import that is not finished with this person; empty: none.
ALTER TABLE users ADD COLUMN import_id @text NOT NULL DEFAULT '';

-- An administrator said that the address is theirs: codes may go there, and it
-- signs nobody in (rul-2, rul-5).
ALTER TABLE users ADD COLUMN email_trusted_at @int NOT NULL DEFAULT 0;

CREATE INDEX users_shape ON users (company, shape, id);
CREATE INDEX users_reshape ON users (reshape_at) WHERE reshape_at > 0;
CREATE INDEX users_import ON users (company, import_id, id) WHERE import_id <> '';

CREATE TABLE people_shapes (
  company @text NOT NULL,
  shape @text NOT NULL,
  n @int NOT NULL CHECK (n >= 0),
  PRIMARY KEY (company, shape),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

CREATE TABLE user_words (
  company @text NOT NULL,
  word @text NOT NULL,
  user_id @text NOT NULL,
  PRIMARY KEY (company, word, user_id),
  FOREIGN KEY (company, user_id) REFERENCES users (company, id) ON DELETE CASCADE
) @strict;

CREATE INDEX user_words_user ON user_words (company, user_id, word);

-- Nobody of an import is seen before it is done (rul-24).
CREATE TABLE imports (
  company @text NOT NULL,
  id @text NOT NULL,
  actor @text NOT NULL,
  done @bool NOT NULL,
  beat_at @int NOT NULL,
  PRIMARY KEY (company, id),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

CREATE INDEX imports_beat ON imports (beat_at);
