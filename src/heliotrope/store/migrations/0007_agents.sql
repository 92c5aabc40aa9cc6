-- Sites elsewhere: who may sign for each, the largest number it used, and when it was last heard (epoch s, our clock).
CREATE TABLE agent (
  site     TEXT PRIMARY KEY,
  key      TEXT NOT NULL,
  devices  TEXT NOT NULL,
  lease_s  REAL NOT NULL,
  number   INTEGER NOT NULL,
  heard_s  REAL NOT NULL
) STRICT;

-- A token lets one agent in, once; only its hash is kept.
CREATE TABLE agent_token (
  hash      BLOB PRIMARY KEY,
  site      TEXT NOT NULL,
  expires_s REAL NOT NULL,
  used_s    REAL
) STRICT;

-- What a site was given to do. `sent_s`: since when its agent may know of it. `over`: it need not be told any more.
CREATE TABLE errand (
  name   TEXT PRIMARY KEY,
  site   TEXT NOT NULL,
  task   TEXT NOT NULL,
  wish   TEXT NOT NULL,
  sent_s REAL,
  seen   TEXT,
  why    TEXT NOT NULL DEFAULT '',
  over   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX errand_of_site ON errand (site) WHERE over = 0;
