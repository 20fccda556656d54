"""The Kraken CI agent: connects to a Kraken server, gets jobs and executes their steps on this host.

Standard library only at its core; runs on Python >= 3.8.
"""

# Two habits of all modules here keep an idle agent small (bench/agent.py measures it). `TYPE_CHECKING = False` is what
# type checkers know by its name; to import it would load the module typing. And a function itself imports what only a
# job, an update or a failure needs.
__version__ = "0.1.0"
