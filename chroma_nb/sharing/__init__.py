"""One directory, several processes: whoever opens it first owns it, the others work through that process.

`open_store` is all that is needed from here; `Stores` is the same for the clients of one process.
"""

from __future__ import annotations

from chroma_nb.sharing.opening import Stores, open_store

__all__ = ["Stores", "open_store"]
