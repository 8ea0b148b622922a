"""Own how a page is made: the template environment, the frame around every page and the looks that pages share.

A page is one file that needs no network and lets nothing in. Its own template and style sheet lie in the ``templates``
folder of the package whose page it is; the words are that package's too.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def page_template(package: str, name: str) -> Template:
    """Return the template ``name`` of ``package``, which extends ``page.html.j2``.

    Every text is escaped unless it is :class:`markupsafe.Markup`; a name that is not given is an error.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("python_tsan.render")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)
