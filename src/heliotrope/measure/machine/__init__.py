"""The machine as it shows itself: its files under a root that tests can put anywhere, and its CPU."""
