"""One process tree over time: followed, asked of the meters at every beat, and added up."""
