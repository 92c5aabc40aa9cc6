"""Whose joules they were: of a process tree, of each user of a node, of each request; the parts sum to the whole."""
