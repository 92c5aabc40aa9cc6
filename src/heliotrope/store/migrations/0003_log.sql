-- The log. What is public: salted commitments, and the hashes over them, each row as its file will be.
CREATE TABLE log_entry (
  idx  INTEGER PRIMARY KEY,
  leaf BLOB NOT NULL
) STRICT;

CREATE TABLE log_tile (
  level  INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (level, n)
) STRICT;

-- What was signed, at each size that was ever published; `note` gains cosignatures, `witnesses` counts them.
CREATE TABLE log_checkpoint (
  size      INTEGER PRIMARY KEY,
  root      BLOB NOT NULL,
  note      TEXT NOT NULL,
  witnesses INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How far each witness was when it last answered, and what was wrong with it, if anything.
CREATE TABLE log_witness (
  vkey  TEXT PRIMARY KEY,
  url   TEXT NOT NULL,
  size  INTEGER NOT NULL,
  fault TEXT NOT NULL
) STRICT;

-- Every key that ever signed for this log, so that old signatures stay checkable after a rotation.
CREATE TABLE log_key (
  vkey TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  n    INTEGER NOT NULL
) STRICT;

-- What is private: envelope and salt behind a commitment. Deleting a row erases the record and leaves the log valid.
CREATE TABLE log_record (
  idx      INTEGER PRIMARY KEY,
  kind     TEXT NOT NULL,
  subject  TEXT NOT NULL,
  salt     BLOB NOT NULL,
  envelope BLOB NOT NULL,
  evidence TEXT
) STRICT;
-- Entries that others feed in have no subject to be looked up by.
CREATE INDEX log_record_of ON log_record (subject, kind) WHERE kind <> 'entry';

-- What a record was computed from, by SHA-256 of its canonical form; `body` is that form, deflated.
CREATE TABLE log_evidence (
  digest TEXT PRIMARY KEY,
  body   BLOB NOT NULL
) STRICT;

-- What auditors signed about entries; a number with a disagreement shows it wherever it is shown.
CREATE TABLE audit (
  idx     INTEGER NOT NULL,
  auditor TEXT NOT NULL,
  agrees  INTEGER NOT NULL,
  reasons TEXT NOT NULL,
  at_s    INTEGER NOT NULL,
  note    TEXT NOT NULL,
  PRIMARY KEY (idx, auditor)
) STRICT;

-- An auditor's memory: the last tree it followed, how far it judged, and the plans it saw logged.
CREATE TABLE audit_head (
  origin TEXT PRIMARY KEY,
  note   TEXT NOT NULL,
  judged INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_plan (
  origin   TEXT NOT NULL,
  workload TEXT NOT NULL,
  digest   TEXT NOT NULL,
  idx      INTEGER NOT NULL,
  PRIMARY KEY (origin, workload, digest)
) STRICT;

-- A witness's memory: the largest checkpoint it cosigned for each log.
CREATE TABLE witness_head (
  origin TEXT PRIMARY KEY,
  size   INTEGER NOT NULL,
  root   BLOB NOT NULL,
  note   TEXT NOT NULL
) STRICT;
