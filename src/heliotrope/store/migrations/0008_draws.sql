-- An auditor's memory of draws: the close that each seed was given for. Another close of that epoch gets none.
CREATE TABLE draw_given (
  programme TEXT    NOT NULL,
  epoch     INTEGER NOT NULL,
  leaf      BLOB    NOT NULL,
  PRIMARY KEY (programme, epoch)
) STRICT, WITHOUT ROWID;
