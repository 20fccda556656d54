"""`python -m kraken_agent` is kkagent."""

import sys

from kraken_agent.cli import main

if __name__ == "__main__":
    sys.exit(main())
