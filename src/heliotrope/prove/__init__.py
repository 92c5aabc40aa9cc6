"""Records, log, receipts: what nobody can rewrite and anybody can check."""
