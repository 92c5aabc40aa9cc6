"""What this machine tells of itself, by files and programs of its own; and what is reckoned where it tells nothing."""
