"""What the controller sends to hosts, and what it reads from their answers."""
