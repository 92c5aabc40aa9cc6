"""Energy into carbon, water, embodied, cost and heat, by the hour it was used."""
