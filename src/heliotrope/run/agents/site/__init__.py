"""The site's side: an agent, its warden, what it remembers, and what it sends and fetches."""
