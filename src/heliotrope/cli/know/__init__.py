"""Commands that tell what is: meters, the grid, sites, people, and what would have been."""
