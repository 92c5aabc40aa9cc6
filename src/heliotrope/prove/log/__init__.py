"""The log at work: entries get numbers, files are published and served, witnesses are asked, all is checked again."""
