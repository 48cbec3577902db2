"""The map: renderers behind one interface (`interface`), and the surface that chooses between them (`choose`).

Nothing is imported here: models know the interface alone, and need no widgets for it.
"""
