"""How others get the numbers: other tools' formats, a page to scrape, and the daemon that lends a node's counters."""
