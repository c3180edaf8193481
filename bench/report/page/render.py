"""Templates to one self-contained page: styles, scripts and data inside, and nothing may be loaded from elsewhere."""

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

from ...utils.errors import UserError
from ...utils.json_values import finite

HERE = Path(__file__).parent
VEGA_LITE = "6.4"
"""The version that specifications are written for; ``vl_convert`` bundles it with Vega and vega-embed."""


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and vega-embed in one script that sets ``window.vegaEmbed``."""
    try:
        import vl_convert
    except ImportError as error:
        raise UserError("a page needs vl-convert-python: install it, or write the page elsewhere") from error
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)


def _static(name: str) -> str:
    return (HERE / "static" / name).read_text(encoding="utf-8")


def _script(text: str) -> str:
    """A script that may stand in a page: no end tag and no comment inside, no carriage returns."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"<(?=/script|!--)", r"\\x3C", text, flags=re.IGNORECASE)


def _digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def embedded(data: object) -> Markup:
    """``data`` as JSON that may stand in an HTML element: no ``<``, ``>`` or ``&``; ``null`` for what is not finite."""
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
    """A page from a template that extends ``base.html.j2``, in UTF-8; the same arguments give the same bytes.

    Only the scripts named here run in it: a policy in its head holds their digests, and forbids every request.
    All text is escaped.

    Args:
        template: a file of ``templates/``.
        title: of the page, as it is, unescaped.
        sections: what the template shows, as its variable ``sections``.
        data: for the scripts, as JSON in the element ``#data``.
        scripts: files of ``static/``, in the order in which they run.
        plots: Vega is bundled before them (0.9 MB).
    """
    texts = [_script(_vega())] if plots else []
    texts += [_script(_static(name)) for name in scripts]
    # Vega makes functions of its expressions; what comes in by data can still not run.
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
        style=Markup(_static("page.css")),
        scripts=[Markup(text) for text in texts],
    )
    return text.encode()
