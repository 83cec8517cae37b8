"""Buttons that save the rows of a page."""

from __future__ import annotations

import streamlit as st

__all__ = ["export_buttons"]


def export_buttons(files: dict[str, tuple[str, str]], stem: str) -> None:
    """Shows one button for each format.

    Args:
        files: (content, media type) by file extension.
        stem: File name without extension.
    """
    st.markdown("**Save these rows** (the address of this page is its permalink)")
    with st.container(horizontal=True):
        for extension, (content, mime) in files.items():
            st.download_button(
                _NAMES.get(extension, extension.upper()),
                content,
                f"{stem}.{extension}",
                mime,
                key=f"save-{extension}",
                on_click="ignore",
            )


_NAMES = {
    "tex": "LaTeX",
    "bib": "BibTeX",
    "insides.csv": "Insides as CSV",
    "maps.csv": "Maps as CSV",
}
