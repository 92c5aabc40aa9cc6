"""Exact kernels on one line of rates: when to run, with which pauses, how wide, how hot, and where next."""
