"""The play as a fleet: its inventory, whom registration lets in, and what became of each host."""
