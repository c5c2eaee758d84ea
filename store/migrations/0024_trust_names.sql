-- The names that people give to the browsers that they trust.
ALTER TABLE trusted_browsers ADD COLUMN name @text NOT NULL DEFAULT '';
