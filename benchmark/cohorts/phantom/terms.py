"""Terms of the template that every phantom is a deformation of; they go with every copy."""

from __future__ import annotations

from typing import Final

__all__ = ["TEMPLATE_TERMS"]

TEMPLATE_TERMS: Final = (
    "MNI ICBM152 nonlinear symmetric 2009a template. Copyright (C) 1993-2004 Louis Collins, "
    "McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University. "
    "Permission to use, copy, modify, and distribute this software and its documentation for any "
    "purpose and without fee is hereby granted, provided that the above copyright notice appear in "
    "all copies. The authors and McGill University make no representations about the suitability "
    'of this software for any purpose. It is provided "as is" without express or implied warranty. '
    "The authors are not responsible for any data loss, equipment damage, property loss, or injury "
    "to subjects or patients resulting from the use or misuse of this software package."
)
