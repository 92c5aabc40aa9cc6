"""What each page says, and the HTML it becomes."""
