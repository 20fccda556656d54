"""The agents' side of the embedded server: their protocol, which agent gets which job, and agents that went silent."""
