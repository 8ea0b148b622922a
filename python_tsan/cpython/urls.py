"""Read web addresses, and show them without what may be secret."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit, urlunsplit


def split_url(url: str) -> SplitResult | None:
    """Return the parts of an address; None when it is not one."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is not a number
    except ValueError:
        return None
    return parts


def shown_url(url: str) -> str:
    """Return an address without user, password, query and fragment: tokens are passed in each of them."""
    parts = split_url(url)
    if parts is None:
        return url.partition("?")[0].rpartition("@")[2]
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="..." if parts.query else "", fragment="")
    return urlunsplit(shown)
