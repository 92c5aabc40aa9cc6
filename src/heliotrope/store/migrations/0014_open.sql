-- `top`: the organisation, without its project. `open_for`: the organisation that one counts for while it is not over.
-- What was in flight before this counts for nobody.
ALTER TABLE workload ADD COLUMN top TEXT;
ALTER TABLE run ADD COLUMN open_for TEXT;
CREATE INDEX run_open_for ON run (open_for);
