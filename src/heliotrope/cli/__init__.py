"""The `helio` command: each group a small module, loaded only when it is called. Parses, calls, prints."""

from __future__ import annotations

from heliotrope.cli.root import main

__all__ = ["main"]
