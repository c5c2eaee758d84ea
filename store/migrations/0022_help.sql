-- When somebody asked an administrator for help with verifying; 0: nobody, or it is over.
ALTER TABLE users ADD COLUMN help_asked_at @int NOT NULL DEFAULT 0;
