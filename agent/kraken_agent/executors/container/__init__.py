"""What Docker and LXD share: programs in a container, files that are copied into it, and how both serve a job."""
