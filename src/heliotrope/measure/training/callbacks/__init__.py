"""Step-level energy inside other people's training loops; each framework's module loads only when it is imported."""
