"""Witnesses: strangers who sign that a log only ever grew. The C2SP protocol, its server, and our log's client."""
