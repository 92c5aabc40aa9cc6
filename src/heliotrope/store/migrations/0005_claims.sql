-- The embedded chain: what was mined, a transaction a block. Replaying these rows makes the chain again.
CREATE TABLE chain_block (
  number      INTEGER PRIMARY KEY,
  timestamp_s INTEGER NOT NULL,
  raw         BLOB    NOT NULL,
  hash        BLOB    NOT NULL
) STRICT;

-- Transactions of ours on any chain, written before they are sent: a crash or a reorganisation sends them again.
CREATE TABLE chain_tx (
  hash         BLOB    PRIMARY KEY,
  chain_id     INTEGER NOT NULL,
  sender       TEXT    NOT NULL,
  nonce        INTEGER NOT NULL,
  purpose      TEXT    NOT NULL,
  raw          BLOB    NOT NULL,
  state        TEXT    NOT NULL CHECK (state IN ('sent', 'mined', 'final', 'failed', 'replaced')),
  block_number INTEGER,
  block_hash   BLOB
) STRICT;
CREATE INDEX chain_tx_by_purpose ON chain_tx (chain_id, purpose);
CREATE INDEX chain_tx_open ON chain_tx (chain_id, state) WHERE state IN ('sent', 'mined');

CREATE TABLE chain_contract (
  chain_id INTEGER PRIMARY KEY,
  address  TEXT NOT NULL
) STRICT;

-- A claim's leaf is in the log at leaf_index; evidence is the canonical document that it was computed from.
CREATE TABLE claim (
  id         TEXT    PRIMARY KEY,
  chain_id   INTEGER NOT NULL,
  leaf_index INTEGER NOT NULL UNIQUE,
  leaf       BLOB    NOT NULL,
  evidence   BLOB    NOT NULL
) STRICT;

-- One job, one claim: whoever counts a registered baseline twice is refused here first.
CREATE TABLE claim_job (
  registration TEXT PRIMARY KEY,
  claim        TEXT NOT NULL REFERENCES claim (id)
) STRICT, WITHOUT ROWID;
