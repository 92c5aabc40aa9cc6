"""Commands that give work, look after it, and plan it."""
