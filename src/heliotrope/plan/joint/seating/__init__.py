"""Jobs in their seats: put where there is room, crowded in, moved and laid anew, until nothing is gained."""
