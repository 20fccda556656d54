"""`python -m kraken_agent.tools` is kktool."""

import sys

from kraken_agent.tools.kktool import main

if __name__ == "__main__":
    sys.exit(main())
