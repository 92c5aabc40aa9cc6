"""The optimiser: when, where, how wide and how hot, with reasons and a bound. Pure."""
