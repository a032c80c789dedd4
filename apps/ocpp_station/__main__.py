"""``python -m ocpp_station`` is the command ``ocpp``."""

import sys

from .cli import main

sys.exit(main())
