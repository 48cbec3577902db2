"""chroma_nb (under construction)."""

__version__ = "0.1.0"
