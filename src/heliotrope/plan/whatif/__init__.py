"""What else one workload's plan could be: the price of each limit, the front of choices, and a wary plan."""
