-- Who set a way to verify up for its person; empty: the person did (rul-17).
ALTER TABLE factors ADD COLUMN set_by @text NOT NULL DEFAULT '';

-- The acts about one person are listed newest first.
DROP INDEX approvals_target;

CREATE INDEX approvals_target ON approvals (company, target, id);

CREATE INDEX approvals_requester ON approvals (company, requester);
