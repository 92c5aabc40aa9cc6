"""What a forecast may look at: the hours behind an issue, the calendar, and what was published about today."""
