-- Who may ask from elsewhere, known by what its token hashes to (SHA-256, hex). `revoked_s`: since when it may not.
CREATE TABLE member (
  name         TEXT PRIMARY KEY,
  organisation TEXT NOT NULL,
  role         TEXT NOT NULL,
  hash         TEXT NOT NULL UNIQUE,
  added_s      REAL NOT NULL,
  expires_s    REAL NOT NULL,
  revoked_s    REAL
) STRICT;

-- Which member's work it is; none for what the home's owner submitted. `key`: an answer that was lost is given again.
CREATE TABLE submitter (
  workload TEXT PRIMARY KEY REFERENCES workload (id),
  member   TEXT NOT NULL REFERENCES member (name),
  key      TEXT
) STRICT;
CREATE UNIQUE INDEX submitter_by_key ON submitter (member, key) WHERE key IS NOT NULL;

-- Who was turned away, agents too: alike ones are one row that counts.
CREATE TABLE refusal (
  who     TEXT NOT NULL,
  address TEXT NOT NULL,
  act     TEXT NOT NULL,
  object  TEXT NOT NULL,
  why     TEXT NOT NULL,
  times   INTEGER NOT NULL,
  first_s REAL NOT NULL,
  last_s  REAL NOT NULL,
  PRIMARY KEY (who, address, act, object, why)
) STRICT;
CREATE INDEX refusal_by_time ON refusal (last_s);

-- Output that somebody wants to see of what runs behind an agent, and when it was last asked for.
CREATE TABLE log_asked (
  name    TEXT PRIMARY KEY REFERENCES errand (name),
  site    TEXT NOT NULL,
  asked_s REAL NOT NULL
) STRICT;
CREATE INDEX log_asked_of_site ON log_asked (site, asked_s);

-- `held_s`: since when its site may have begun it. `missed_s`: since when an agent there says that it has no such thing.
ALTER TABLE errand ADD COLUMN held_s REAL;
ALTER TABLE errand ADD COLUMN missed_s REAL;
