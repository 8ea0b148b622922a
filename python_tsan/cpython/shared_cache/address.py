"""Own the address of a compiler cache that machines share, and which programs can use it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, assert_never
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

CCACHE, SCCACHE = "ccache", "sccache"
PAGE = "shared-cache"


class Backend(Enum):
    """Where objects can be kept, by the scheme of the address; ``github`` is the cache of GitHub Actions."""

    REDIS = "redis"
    HTTP = "http"
    S3 = "s3"
    GITHUB = "github"

    @property
    def programs(self) -> tuple[str, ...]:
        """The caches that can use it, preferred one first."""
        match self:
            case Backend.REDIS:
                return (CCACHE, SCCACHE)
            case Backend.HTTP:
                return (CCACHE,)
            case Backend.S3 | Backend.GITHUB:
                return (SCCACHE,)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A shared cache by its address: ``redis://HOST[:PORT]``, ``http://...``, ``s3://BUCKET[/PREFIX]``, ``github``."""

    backend: Backend
    url: str

    @property
    def parts(self) -> SplitResult:
        """The address taken apart."""
        return urlsplit(self.url)

    @property
    def options(self) -> dict[str, str]:
        """What the address says after its question mark."""
        return dict(parse_qsl(self.parts.query))

    @property
    def shown(self) -> str:
        """The address without user and password."""
        return urlunsplit(self.parts._replace(netloc=self.parts.netloc.rpartition("@")[2]))


def parse_remote(text: str) -> Remote:
    """Return the shared cache that a setting means. Raises ``UsageError`` for an address that none can use."""
    parts = urlsplit(text)
    known = {backend.value: backend for backend in Backend}
    backend = known.get(parts.scheme or text)
    if backend is None or (backend is not Backend.GITHUB and not parts.netloc) or "|" in text or " " in text:
        raise UsageError(
            f"compiler-cache-remote: {Remote(backend=Backend.HTTP, url=text).shown!r} is no address of a shared cache",
            advice="give redis://HOST[:PORT], http://HOST/PATH, s3://BUCKET[/PREFIX][?region=R&endpoint=E] or github",
            page=PAGE,
        )
    return Remote(backend=backend, url=text)
