-- Errands are of an attempt: RUN/NUMBER.
ALTER TABLE errand ADD COLUMN run TEXT NOT NULL DEFAULT '';
UPDATE errand SET run = substr(name, 1, length(rtrim(name, '0123456789')) - 1);
CREATE INDEX errand_of_run ON errand (run);

-- What an agent said when one was over: how it ended and what it used, as JSON. `refused`: why its readings are not believed.
CREATE TABLE ending (
  name        TEXT PRIMARY KEY,
  exit        TEXT,
  measurement TEXT,
  refused     TEXT NOT NULL DEFAULT ''
) STRICT;

-- Output that was asked for. `next`: where at the site it goes on; `size`: what there was there at `at_s` (epoch s, our
-- clock); `kept`: bytes of it here.
CREATE TABLE output (
  name TEXT PRIMARY KEY,
  next INTEGER NOT NULL,
  size INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  at_s REAL NOT NULL
) STRICT;
CREATE TABLE output_piece (
  name  TEXT NOT NULL,
  start INTEGER NOT NULL,
  body  BLOB NOT NULL,
  PRIMARY KEY (name, start)
) STRICT;
