"""Ask whether the Hugging Face hub answers, before the library retries for minutes."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from typing import Final

TIMEOUT_S: Final = 5.0
_SERVER_FAULT: Final = 500


def address() -> str:
    """The hub's address: ``HF_ENDPOINT``, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def is_switched_off() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def fault(timeout_s: float = TIMEOUT_S) -> str:
    """Why the hub cannot be used; empty if it can.

    Args:
        timeout_s: Seconds to wait for its answer.
    """
    if is_switched_off():
        return "HF_HUB_OFFLINE is set"
    answer: list[str] = []
    # Resolving the hub's name has no timeout, so it happens in a thread that can be left behind.
    asking = threading.Thread(target=lambda: answer.append(_ask(timeout_s)), daemon=True)
    asking.start()
    asking.join(timeout_s + 1)
    return answer[0] if answer else f"no answer in {timeout_s:.0f} s"


def _ask(timeout_s: float) -> str:
    try:
        request = urllib.request.Request(address(), method="HEAD")
        urllib.request.urlopen(request, timeout=timeout_s).close()
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}" if error.code >= _SERVER_FAULT else ""
    except (OSError, ValueError) as error:
        return f"no answer: {getattr(error, 'reason', None) or error}"
    return ""
