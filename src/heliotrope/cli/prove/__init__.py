"""Commands of the log, its witnesses and auditors, and of claims."""
