"""Write and read JSON documents whose field ``schema`` states their version; leave their content to their rooms."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 -- msgspec resolves the annotations of a struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from python_tsan.errors import PythonTsanError, SubjectError
from python_tsan.storage import read_document, too_large, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = TypeVar("Kind")


class Format(Struct, Generic[Kind], frozen=True, kw_only=True):
    """One kind of document: its class, which has a field ``schema``, and what its errors say.

    ``what`` names a document in a message (``run``), ``advice`` says how to get one of this schema, and ``page`` is the
    anchor in ``docs/errors.md``. ``upgrades`` maps a schema to the function that turns a document of it, as plain data,
    into one of the next schema; a schema without a function is refused. ``parse`` reads a document that is not written
    field by field as its class is, and may be of any size.
    """

    kind: type[Kind]
    what: str
    schema: int
    page: str = ""
    advice: str = ""
    upgrades: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    error: type[PythonTsanError] = SubjectError
    parse: Callable[[bytes], Kind] | None = None

    def encode(self, value: Kind) -> bytes:
        """Return ``value`` as JSON for people and programs."""
        return encode(value)

    def load(self, file: Path) -> Kind:
        """Read a document from ``file``. Raises as :meth:`read`, and ``error`` for a damaged one or another schema."""
        return self.decode(self.read(file), name=str(file))

    def read(self, file: Path) -> bytes:
        """Return the bytes of ``file``. Raises ``UsageError`` when it does not exist, ``error`` for other reasons."""
        try:
            return read_document(file, in_rows=self.parse is not None)
        except OSError as error:
            raise unreadable(file, error, error=self.error, advice=self.advice, page=self.page) from error

    def decode(self, data: bytes, *, name: str) -> Kind:
        """Read what :meth:`encode` wrote; ``name`` is the document's in errors, which are those of :meth:`load`."""
        try:
            found = msgspec.json.decode(data, type=_Header).schema
            if found == self.schema:
                if self.parse:
                    return self.parse(data)
                return from_json(data, self.kind)
            if found > self.schema or any(step not in self.upgrades for step in range(found, self.schema)):
                raise self._other_schema(name, found)
            if self.parse and (why := too_large(data)):
                raise self.error(f"{name} has schema {found} and is {why}", advice=self.advice, page=self.page)
            document = msgspec.json.decode(data)
            for step in range(found, self.schema):
                document = self.upgrades[step](document)
            return from_plain(document, self.kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self.error(
                f"{name} is damaged or not a {self.what} of python-tsan: {error}", advice=self.advice, page=self.page
            ) from error

    def _other_schema(self, name: str, found: int) -> PythonTsanError:
        newer = found > self.schema
        return self.error(
            f"{name} is {'newer' if newer else 'older'} than this python-tsan: it has schema {found}, and schema "
            f"{self.schema} is supported",
            advice="update python-tsan" if newer else self.advice,
            page=self.page,
        )


class _Header(msgspec.Struct):
    schema: int


def encode(value: object) -> bytes:
    """Return ``value`` as indented JSON with a line feed at its end; keys of mappings are sorted, paths are text."""
    data = msgspec.json.encode(value, enc_hook=_encode_path, order="deterministic")
    return msgspec.json.format(data, indent=1) + b"\n"


def from_json(data: bytes, kind: type[Kind]) -> Kind:
    """Return the value of JSON. Raises ``msgspec.MsgspecError``."""
    return msgspec.json.decode(data, type=kind, dec_hook=_decode_path)


def from_plain(value: object, kind: type[Kind]) -> Kind:
    """Return the value of plain data, parts of which may be values already. Raises ``msgspec.ValidationError``."""
    return msgspec.convert(value, kind, dec_hook=_decode_path)


def _encode_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be written as JSON")


def _decode_path(kind: type[Any], value: object) -> Path:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} cannot be read from JSON")
