"""Make text of a log or a program harmless in each format: one function for each.

Every rendering passes all such text through the function of its format. A control character becomes its hexadecimal
code, so that a reader sees that it was there. A report has one format: what the others need is compiled or imported
when they use it.
"""

from __future__ import annotations

import re

from python_tsan.plain_text import COMMAND, harmless, printable

# What GitHub's Markdown takes for markup, or for HTML, in a name or a message.
_MARKDOWN = r"([\\`*_{}\[\]<>#|~!&@$])"
# Marks that Markdown reads even inside an HTML element, the backslash among them.
_IN_CODE = r"[|`*_\\\[\]~@$]"
# What XML 1.0 cannot hold, however it is escaped (https://www.w3.org/TR/xml/#charsets).
_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
# In UTF-8: U+007F to U+009F, U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069.
_CONTROL = rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]"


def _entities(text: str) -> str:
    from html import escape  # noqa: PLC0415 -- for some formats only

    return escape(text)


def block(text: str) -> str:
    """Return ``text`` with its line breaks and tabs, and no other control character."""
    return printable(text.replace("\r\n", "\n"), keep="\n\t")


def html(text: str) -> str:
    """Return ``text`` for HTML and SVG, in an element or an attribute."""
    return no_command(_entities(block(text)))


def no_command(markup: str) -> str:
    """Return HTML of the same text in which a build server obeys nothing where a job prints it."""
    return COMMAND.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", markup)


def markdown(text: str) -> str:
    """Return ``text`` so that GitHub shows it as it is, on one line."""
    return re.sub(_MARKDOWN, r"\\\1", printable(" ".join(text.split())))


def markdown_code(text: str) -> str:
    """Return ``text`` as code that may be in a table: as HTML, as Markdown's own cannot hold a bar or backtick."""
    line = _entities(printable(" ".join(text.split())))
    return f"<code>{re.sub(_IN_CODE, lambda found: f'&#{ord(found[0])};', line)}</code>"


def xml(text: str) -> str:
    """Return ``text`` with nothing that XML 1.0 cannot hold; the writer of the XML escapes its markup."""
    return re.sub(_NOT_XML, "\N{REPLACEMENT CHARACTER}", harmless(block(text)))


def command_text(text: str) -> str:
    """Return ``text`` for the text of a GitHub workflow command."""
    return block(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """Return ``text`` for a property of a GitHub workflow command."""
    return command_text(text).replace(":", "%3A").replace(",", "%2C")


def json(data: bytes) -> bytes:
    """Return JSON of the same content in which every control character, and what build servers obey, is a code."""
    if not data.isascii() or b"\x7f" in data:
        data = re.sub(_CONTROL, lambda found: b"\\u%04x" % ord(found[0].decode()), data)
    return re.sub(rb"#(?=#\w*\[)", rb"\\u0023", data) if b"##" in data else data


def script_json(value: object) -> str:
    """Return ``value`` as JSON for a ``<script>`` element, which no text in it can end."""
    import json  # noqa: PLC0415 -- for some formats only

    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
