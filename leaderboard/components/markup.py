"""HTML that cannot be broken by what it shows: every text and attribute is escaped."""

from __future__ import annotations

from html import escape

__all__ = ["Markup", "chip", "element", "join"]


class Markup(str):
    """A piece of finished HTML; a plain ``str`` is text and gets escaped."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """Builds one element.

    Args:
        tag: Its name.
        children: Markup, taken as it is, or text, escaped.
        attributes: Values, escaped; ``class_`` is written ``class`` and ``data_label`` with a dash.

    Returns:
        The HTML.
    """
    inner = "".join(c if isinstance(c, Markup) else escape(c) for c in children)
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{written}>{inner}</{tag}>")


def join(*parts: str) -> Markup:
    """Puts parts after one another, escaping those that are text."""
    return Markup("".join(p if isinstance(p, Markup) else escape(p) for p in parts))


def chip(text: str, kind: str = "", title: str = "") -> Markup:
    """A small label; ``kind`` names its look in the style sheet."""
    extra = {"title": title} if title else {}
    return element("span", text, class_=f"chip {kind}".strip(), **extra)
