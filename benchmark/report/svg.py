"""A few SVG marks and a frame that names and describes itself, for a page or as a file.

Colours are classes, so that the page's light and dark style reaches them; a file carries the same
style with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["COLOURS", "LETTER", "Figure", "circle", "diamond", "line", "path", "rect", "text"]

# Okabe and Ito's colour-blind-safe blue and vermillion, darkened or lightened for contrast.
COLOURS: Final = """\
:root { --ground: #ffffff; --ink: #1b1f24; --faint: #57606a; --rule: #d0d7de; --panel: #f3f5f7;
  --mark: #0b63a5; --other: #a6470a; --warn: #8a4500; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --ink: #e9ecef; --faint: #a8b1ba;
  --rule: #3a424a; --panel: #20252a; --mark: #7cc0f5; --other: #f0a26b; --warn: #f2b880; } }
"""
LETTER: Final = 6.8  # width that is reserved for a letter
_MARKS: Final = """\
svg { font-family: system-ui, sans-serif; font-size: 12px; }
svg text { fill: var(--ink); paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
svg .faint { fill: var(--faint); } svg .rule { stroke: var(--rule); }
svg .mark { fill: var(--mark); stroke: var(--mark); }
svg .other { fill: var(--other); stroke: var(--other); }
svg .hollow { fill: var(--ground); stroke: var(--ink); } svg .ink { stroke: var(--ink); }
svg .dashed { stroke-dasharray: 4 3; } svg .back { fill: var(--panel); }
svg .count { fill: var(--rule); }
svg .open { fill: none; }
svg .bold { font-weight: 600; stroke: none; }
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing.

    Attributes:
        name: File name without ending; also the stem of its ids.
        title: What it is.
        description: What it shows, in words: the alternative text.
        width: Of the view box; one unit is one pixel at natural size.
        height: Of the view box.
        marks: SVG elements.
    """

    name: str
    title: str
    description: str
    width: int
    height: int
    marks: Sequence[str]

    def inline(self) -> str:
        """The element for a page that has the style."""
        ids = f"{self.name}-title {self.name}-desc"
        box = f'viewBox="0 0 {self.width} {self.height}" width="100%"'
        named = f'role="img" aria-labelledby="{ids}"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {named} {box}>',
                f'<title id="{self.name}-title">{escape(self.title)}</title>',
                f'<desc id="{self.name}-desc">{escape(self.description)}</desc>',
                *self.marks,
                "</svg>",
            ]
        )

    def standalone(self) -> str:
        """The text of an SVG file: style and background included."""
        head, _, rest = self.inline().partition("\n")
        head = head.replace('width="100%"', f'width="{self.width}" height="{self.height}"')
        ground = f'<rect width="{self.width}" height="{self.height}" fill="var(--ground)"/>'
        style = f"<style>\n{COLOURS}{_MARKS}</style>"
        title, desc, *marks = rest.split("\n")
        return "\n".join([head, title, desc, style, ground, *marks]) + "\n"

    @staticmethod
    def style() -> str:
        """The style of the marks, without the colours."""
        return _MARKS


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """Text with its baseline at y."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "rule", width: float = 1) -> str:
    """A straight line."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} class="{kind}" stroke-width="{width:g}"/>'


def path(points: Iterable[tuple[float, float]], kind: str = "mark", width: float = 2) -> str:
    """A line through points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{through}" class="{kind} open" stroke-width="{width:g}"/>'


def circle(x: float, y: float, radius: float, kind: str = "mark") -> str:
    """A disc."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"/>'


def diamond(x: float, y: float, radius: float, kind: str = "hollow") -> str:
    """A square on its corner."""
    corners = ((x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    return f'<polygon points="{points}" class="{kind}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str = "back") -> str:
    """A rectangle."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{kind}"/>'
