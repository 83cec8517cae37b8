r"""Text for LaTeX: what every table that is written for it escapes."""

from __future__ import annotations

from typing import Final

__all__ = ["escape_latex"]

_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def escape_latex(content: str) -> str:
    r"""Text that LaTeX prints as it is.

    >>> escape_latex("age_sex & 95 %")
    'age\\_sex \\& 95 \\%'
    """
    return "".join(_SPECIAL.get(character, character) for character in content)
