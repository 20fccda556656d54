"""The Kraken CI agent: connects to a Kraken server, gets jobs and executes their steps on this host.

Standard library only at its core; runs on Python >= 3.8.
"""

__version__ = "0.1.0"
