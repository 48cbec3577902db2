"""Chroma over HTTP: a server of REST API v1, and a client of v1 and v2."""
