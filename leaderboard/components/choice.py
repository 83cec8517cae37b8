"""Controls whose value lives in the address.

The address is the truth: a control shows what its query parameter says, and a change writes it
there. Streamlit's own ``bind`` stores the label that a reader sees, so that a changed title would
break every link; here the plain name is stored. Unknown names are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

__all__ = ["choose", "choose_several"]


def choose(label: str, key: str, options: Sequence[str], title: Callable[[str], str] = str) -> str:
    """Shows a list to choose one name from; the first is chosen where the address is silent.

    Args:
        label: What is chosen.
        key: Query parameter, and key of the control.
        options: Names, at least one.
        title: How a name is written.
    """
    given = st.query_params.get(key)
    st.session_state[key] = given if given in options else options[0]

    def write() -> None:
        _store(key, [st.session_state[key]], default=options[0])

    return st.selectbox(label, options, key=key, format_func=title, on_change=write)


def choose_several(
    label: str,
    key: str,
    options: Sequence[str],
    title: Callable[[str], str] = str,
    *,
    placeholder: str,
    note: str | None = None,
) -> tuple[str, ...]:
    """Shows a list to choose any number of names from; none where the address is silent.

    Args:
        label: What is chosen.
        key: Query parameter, and key of the control.
        options: Names.
        title: How a name is written.
        placeholder: What the empty control says.
        note: Help beside the label.
    """
    given = st.query_params.get_all(key)
    st.session_state[key] = [name for name in dict.fromkeys(given) if name in options]

    def write() -> None:
        _store(key, st.session_state[key], default=None)

    chosen = st.multiselect(
        label,
        options,
        key=key,
        format_func=title,
        on_change=write,
        placeholder=placeholder,
        help=note,
    )
    return tuple(chosen)


def _store(key: str, values: Sequence[str], default: str | None) -> None:
    if not values or list(values) == [default]:
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = list(values)
