"""Auditors: follow a log, compute every footprint again with their own facts, and sign whether they agree."""
