"""What pytest collects here."""

from __future__ import annotations

from tests.migrate.reading import SAMPLES

# The first is run by the Python of a real Chroma, which alone can import it.
collect_ignore = ["chroma_writer.py", *([] if SAMPLES.is_dir() else ["test_samples.py"])]
