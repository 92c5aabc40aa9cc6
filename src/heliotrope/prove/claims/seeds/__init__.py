"""Where hold-outs are drawn from: auditors that keep seeds, and give each to the first close of its epoch alone."""
