"""Around one piece of work while it runs: its folder, its shepherd, what it says, and its way elsewhere."""
