"""The play as a fleet: its inventory, which agents registration authorizes, and what became of each host."""
