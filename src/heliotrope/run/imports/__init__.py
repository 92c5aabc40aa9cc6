"""Work that was written for another scheduler, in our vocabulary: what cannot be said in it is refused or named."""
