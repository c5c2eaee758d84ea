-- How often policy had allowed its kind again when a way was last confirmed; a
-- greater number in the policy asks for it to be confirmed again (rul-2).
ALTER TABLE factors ADD COLUMN round @int NOT NULL DEFAULT 0;
