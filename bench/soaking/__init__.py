"""What bench/soak.py is made of: the network, the agents, the faults, and what must be true in the end."""
