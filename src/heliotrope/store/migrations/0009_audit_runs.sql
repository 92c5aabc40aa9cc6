-- An auditor's memory of runs: where each was recorded first. A record that is replayed counts nothing twice.
CREATE TABLE audit_run (
  origin TEXT    NOT NULL,
  run    TEXT    NOT NULL,
  idx    INTEGER NOT NULL,
  PRIMARY KEY (origin, run)
) STRICT, WITHOUT ROWID;
