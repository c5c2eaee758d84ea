-- When setting up a passkey was offered after a sign-in, which is done once; 0: it was not.
ALTER TABLE users ADD COLUMN passkey_offered_at @int NOT NULL DEFAULT 0;
