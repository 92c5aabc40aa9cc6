"""How answers come in: one client, what was answered kept for good, and the checks that make points into hours."""
