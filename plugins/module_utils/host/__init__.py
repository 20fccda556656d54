"""What `agent_host` does on a managed host. Standard library only, Python 3.8 or newer; one subject a file."""
