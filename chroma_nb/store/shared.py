"""Where `chroma_nb.sharing.Stores` was before."""

from __future__ import annotations

from chroma_nb.sharing.opening import Stores as LocalStores

__all__ = ["LocalStores"]
