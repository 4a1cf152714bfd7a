"""How fast the lab is and how much memory it takes, beside what the same machine can do without it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The jobs are a distribution of their own, which is on a cluster's path and not on this one.
sys.path.insert(0, str(ROOT / "jobs"))
