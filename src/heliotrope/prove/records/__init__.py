"""What is said and signed: statements, their evidence, the envelope behind a commitment, the receipt."""
