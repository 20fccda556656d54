"""Where the steps of a job run: on this host, in a container."""
