"""What a measurement writes down as it goes on, and how it is read back, also after a kill."""
