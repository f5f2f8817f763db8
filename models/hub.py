"""The Hugging Face hub: what its local cache holds, and whether it answers at all."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from models.encoders import TIMM, published_weights, timm_settings
from models.errors import ModelError

TIMEOUT_S: Final = 5.0
_SERVER_FAULT: Final = 500


def address() -> str:
    """The hub's address: ``HF_ENDPOINT``, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def is_switched_off() -> bool:
    """Whether ``HF_HUB_OFFLINE`` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON")


def cached_file(encoder: str, weights: str) -> Path | None:
    """The file of published weights in the hub's local cache; ``None`` if it is not complete.

    Raises:
        ModelError: If there are no such weights.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, revision, names = published_at(encoder, weights)
    found = [try_to_load_from_cache(repository, name, revision=revision) for name in names]
    return Path(str(found[-1])) if all(isinstance(path, str) for path in found) else None


def published_at(encoder: str, weights: str) -> tuple[str, str | None, tuple[str, ...]]:
    """The hub's repository of published weights, its revision and the files, the weights last.

    Raises:
        ModelError: If there are no such weights.
    """
    if encoder.startswith(TIMM):
        settings = timm_settings(encoder)
        if settings is None or not settings.hf_hub_id:
            raise ModelError(f"timm publishes no weights for {encoder}; expected none or a file")
        if weights != "imagenet":  # the library would load timm's default weights for any name
            raise ModelError(
                f"no weights {weights!r} for {encoder}; expected imagenet, none, or a file. Other "
                "weights of timm are named with the encoder: tu-NAME.TAG"
            )
        return settings.hf_hub_id, None, ("model.safetensors",)
    published = published_weights(encoder)
    if weights not in published:
        raise ModelError(
            f"no weights {weights!r} for {encoder}; expected one of {', '.join(published)}, none, "
            "or a file"
        )
    where = published[weights]
    return where["repo_id"], where["revision"], ("config.json", "model.safetensors")


def download_errors() -> tuple[type[Exception], ...]:
    """What a download that fails raises: errors of the system, and of the client's HTTP library."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *HfHubHTTPError.__bases__)  # each version of the client has another library


def fault(timeout_s: float = TIMEOUT_S) -> str:
    """Why the hub cannot be used, asked for ``timeout_s`` seconds at most; empty if it can."""
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
