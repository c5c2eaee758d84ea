-- How companies look. document is loaded with every company; the pictures are not.

CREATE TABLE branding (
  company @text NOT NULL PRIMARY KEY,
  version @int NOT NULL,
  document @json NOT NULL,
  updated_at @int NOT NULL,
  updated_by @text NOT NULL,
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;

-- One picture of a kind; a draft has a kind of its own, and is shown to nobody but
-- those who may change the brand.
CREATE TABLE brand_files (
  company @text NOT NULL,
  kind @text NOT NULL,
  hash @text NOT NULL,
  at @int NOT NULL,
  bytes @blob NOT NULL,
  PRIMARY KEY (company, kind),
  FOREIGN KEY (company) REFERENCES companies (id) ON DELETE CASCADE
) @strict;
