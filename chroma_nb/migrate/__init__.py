"""Data of other tools, in and out: directories of Chroma, frames and files."""
