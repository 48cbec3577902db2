"""``python -m chroma_nb.projection``: compile what maps need, for images that many will start."""

from __future__ import annotations

from chroma_nb.projection.warming import warm_up

if __name__ == "__main__":
    warm_up()
