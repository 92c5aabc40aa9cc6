"""Jobs that may pause, among others that may not."""
