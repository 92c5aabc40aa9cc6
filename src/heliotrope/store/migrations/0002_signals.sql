-- What a run was planned and accounted with, beside the run: signals by site, cancel wishes, the clock.
CREATE TABLE signal (
  workload TEXT NOT NULL REFERENCES workload (id),
  site     TEXT NOT NULL,
  body     TEXT NOT NULL,
  PRIMARY KEY (workload, site)
) STRICT;

CREATE TABLE wish (
  workload TEXT PRIMARY KEY REFERENCES workload (id),
  cancel_s REAL NOT NULL
) STRICT;

-- Controller time at wall w is origin_s + (w - origin_s) * factor; factor 1 is the wall's own.
-- The sites are kept as they were: whoever goes on with it may have been told of another fleet, or the file may change.
CREATE TABLE submission (
  workload TEXT PRIMARY KEY REFERENCES workload (id),
  factor   REAL NOT NULL,
  origin_s REAL NOT NULL,
  home     TEXT NOT NULL,
  sites    TEXT NOT NULL
) STRICT;

ALTER TABLE footprint ADD COLUMN run_now TEXT NOT NULL DEFAULT '';
ALTER TABLE footprint ADD COLUMN run_now_operational TEXT NOT NULL DEFAULT '';
