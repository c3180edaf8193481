"""Render a template as one self-contained page: styles, scripts and data are inside, and no request is allowed."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from solvers import __version__

from ...utils.errors import UserError
from ...utils.json_values import finite

HERE = Path(__file__).parent
VEGA_LITE = "6.4"
"""Version of the specifications, which ``vl_convert`` bundles with Vega and vega-embed."""


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The words of a call with the space behind each; between them a line may end. ``static/advice.js`` does the same.
    environment.filters["tokens"] = re.compile(r"([^\s(]*\(|[^\s(]+)(\s*)").findall
    return environment


@functools.cache
def _vega() -> str:
    """One script of Vega, Vega-Lite and vega-embed that sets ``window.vegaEmbed``."""
    try:
        import vl_convert
    except ImportError as error:
        raise UserError("a page needs vl-convert-python: install it, or write the page elsewhere") from error
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)


def _static(name: str) -> str:
    return (HERE / "static" / name).read_text(encoding="utf-8")


def _script(text: str) -> str:
    """A script without end tags, comments and carriage returns, which would end it in a page."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/script|!--)", r"\\x3C", text, flags=re.IGNORECASE)


def _digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def embedded(data: object) -> Markup:
    """``data`` as JSON for an HTML element: ``<``, ``>`` and ``&`` are escaped, numbers that are not finite null."""
    text = json.dumps(
        finite(data), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def render(
    template: str,
    title: str,
    sections: Mapping[str, object],
    data: Mapping[str, object] | None = None,
    scripts: tuple[str, ...] = ("theme.js", "table.js"),
    plots: bool = False,
) -> bytes:
    """A page in UTF-8; the same arguments give the same bytes.

    Only ``scripts`` run in it: a policy in its head holds their digests and forbids every request. All text is escaped.

    Args:
        template: a file of ``templates/`` that extends ``base.html.j2``.
        title: of the page, unescaped.
        sections: the variable ``sections`` of the template.
        data: for the scripts, as JSON in the element ``#data``.
        scripts: files of ``static/``, in the order in which they run.
        plots: bundle Vega before them (0.9 MB).
    """
    texts = [_script(_vega())] if plots else []
    texts += [_script(_static(name)) for name in scripts]
    # Vega compiles its expressions to functions; scripts in the data still cannot run.
    allowed = " ".join([*map(_digest, texts), *(["'unsafe-eval'"] if plots else [])])
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    text = page.render(
        title=title,
        sections=sections,
        data=embedded(data or {}),
        policy=policy,
        version=__version__,
        style=Markup(_static("page.css")),
        scripts=[Markup(text) for text in texts],
    )
    return text.encode()
