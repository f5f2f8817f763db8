"""The script that draws the plots, put together while the page is gathered."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache


@cache
def vega() -> Future[str]:
    """Vega, Vega-Lite and Vega-Embed as one script, so that the page needs no network.

    Bundling takes seconds, without Python's lock: call this once it is sure that there is a page.
    """
    import vl_convert

    return ThreadPoolExecutor(1).submit(
        vl_convert.javascript_bundle, "window.vegaEmbed = vegaEmbed"
    )
