-- The life of a run. Structs are kept whole as JSON beside the columns that are searched.
CREATE TABLE workload (
  id           TEXT PRIMARY KEY,
  organisation TEXT NOT NULL,
  submitted_s  REAL NOT NULL,
  body         TEXT NOT NULL
) STRICT;

CREATE TABLE plan (
  id       INTEGER PRIMARY KEY,
  workload TEXT NOT NULL REFERENCES workload (id),
  made_s   REAL NOT NULL,
  body     TEXT NOT NULL
) STRICT;
CREATE INDEX plan_of_workload ON plan (workload, id);

CREATE TABLE run (
  id        TEXT PRIMARY KEY,
  workload  TEXT NOT NULL REFERENCES workload (id),
  attempt   INTEGER NOT NULL,
  state     TEXT NOT NULL,
  created_s REAL NOT NULL,
  body      TEXT NOT NULL,
  UNIQUE (workload, attempt)
) STRICT;
CREATE INDEX run_in_state ON run (state);

-- What happened, in order; the run's row is what it adds up to.
CREATE TABLE event (
  id   INTEGER PRIMARY KEY,
  run  TEXT NOT NULL REFERENCES run (id),
  at_s REAL NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX event_of_run ON event (run, id);

CREATE TABLE footprint (
  run         TEXT PRIMARY KEY REFERENCES run (id),
  body        TEXT NOT NULL,
  measurement TEXT NOT NULL
) STRICT;
