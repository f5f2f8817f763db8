"""Compare the figures of the self-test with those that were computed when the bundle was made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

result, expected = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])
found = result.get("aggregates") or result.get("figures") or result
if found != expected:
    sys.exit(f"the self-test gave other figures: {found}, expected {expected}")
sys.stdout.write(f"The self-test gave the expected figures, score {found['score']:.3f}.\n")
