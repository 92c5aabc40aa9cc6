"""A loopback twin of the grid APIs: answers as each documents, and misbehaves on demand. For tests, and for others'."""
