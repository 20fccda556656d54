"""The controller's half of kraken-fleet: everything that runs where Ansible runs."""

__version__ = "0.1.0"
