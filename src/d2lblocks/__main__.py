"""`python -m d2lblocks`."""

import sys

from d2lblocks._command import main

if __name__ == "__main__":
    sys.exit(main())
