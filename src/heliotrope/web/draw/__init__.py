"""Pictures and words made on the server: text out, no I/O, no script."""
