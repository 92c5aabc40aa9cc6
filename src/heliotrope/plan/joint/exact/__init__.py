"""What can be decided exactly: who fits where, why nobody could, and what would do."""
