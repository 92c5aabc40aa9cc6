"""What the hours to come will be like, learnt from the hours that were: pure functions of arrays, no I/O, no leak."""
