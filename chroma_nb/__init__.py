"""An embedded vector store for notebooks: Chroma's API, DataFrames out.

>>> import chroma_nb
>>> client = chroma_nb.Client()                 # in memory; Client("./db") is durable at every return
>>> docs = client.create_collection("docs")
>>> docs.add(ids=["a", "b"], documents=["x", "y"], embeddings=[[1.0, 0.0], [0.0, 1.0]])
>>> docs.peek()
   document
id
a         x
b         y
"""

from chroma_nb import errors
from chroma_nb.client import Client
from chroma_nb.collection import Collection
from chroma_nb.config import Settings
from chroma_nb.constructors import EphemeralClient, HttpClient, PersistentClient

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Collection",
    "EphemeralClient",
    "HttpClient",
    "PersistentClient",
    "Settings",
    "__version__",
    "errors",
]
