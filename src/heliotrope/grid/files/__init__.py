"""Series that people keep in files: read as written, or refused with the line and the field."""
