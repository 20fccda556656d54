"""What the embedded server keeps: its tables and database file, log lines, and each agent's last state in memory."""
