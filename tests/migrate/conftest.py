"""What pytest collects here."""

from __future__ import annotations

# Run by the Python of a real Chroma, which alone can import it.
collect_ignore = ["chroma_writer.py"]
