"""``python -m chroma_nb``: the command line without its script."""

import sys

from chroma_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
