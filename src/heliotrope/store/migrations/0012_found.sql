-- What is searched for in a column of its own, so that no body is opened to find it.
ALTER TABLE workload ADD COLUMN command TEXT NOT NULL DEFAULT '';
UPDATE workload SET command = json_extract(body, '$.command');
-- Commands may be longer than what an index takes.
CREATE INDEX workload_with_command ON workload (substr(command, 1, 200));

-- `seq` grows with every change of a run, its plan or the wish for its end: who read up to one reads on from there.
ALTER TABLE run ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE run ADD COLUMN clock_factor REAL NOT NULL DEFAULT 1;
ALTER TABLE run ADD COLUMN ended_s REAL;
UPDATE run SET
  seq = 1,
  reason = coalesce(json_extract(body, '$.reason'), ''),
  clock_factor = CAST(coalesce(json_extract(body, '$.clock_factor'), '1') AS REAL),
  ended_s = unixepoch(json_extract(body, '$.ended_at'));
CREATE INDEX run_changed ON run (seq);
CREATE INDEX run_created ON run (created_s);

-- `owed`: in the log, but nobody wrote its receipt yet.
ALTER TABLE footprint ADD COLUMN energy_j REAL NOT NULL DEFAULT 0;
ALTER TABLE footprint ADD COLUMN carbon_g REAL NOT NULL DEFAULT 0;
ALTER TABLE footprint ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;
UPDATE footprint SET
  energy_j = CAST(json_extract(body, '$.energy_j.value') AS REAL),
  carbon_g = CAST(json_extract(body, '$.carbon_operational_g.value') AS REAL),
  owed = (SELECT CASE json_extract(run.body, '$.receipt') WHEN '' THEN 1 ELSE 0 END FROM run WHERE run.id = footprint.run);
CREATE INDEX footprint_owed ON footprint (run) WHERE owed = 1;

-- The sites that work was submitted to are the same for much of it: kept once, by the SHA-256 of their form.
CREATE TABLE fleet (
  digest TEXT PRIMARY KEY,
  body   TEXT NOT NULL
) STRICT;

-- Who leads has a term, larger than any before; who wrote in an older one is refused.
CREATE TABLE leader (
  name TEXT PRIMARY KEY,
  term INTEGER NOT NULL
) STRICT;
