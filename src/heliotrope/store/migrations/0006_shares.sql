-- Whose room a run was lent, as a share of what it got; what it did not borrow was its own organisation's.
CREATE TABLE lent (
  run    TEXT NOT NULL REFERENCES run (id),
  lender TEXT NOT NULL,
  share  REAL NOT NULL,
  PRIMARY KEY (run, lender)
) STRICT;
