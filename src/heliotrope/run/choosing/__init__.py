"""Whose turn is next, and which sites are worth a closer look: promises by hour, shares, what to wake for."""
