"""``python -m ocpp_central``: run the central system."""

import sys

from .cli import main

sys.exit(main())
