"""Chroma's dialect: the same store, with Chroma's dict results, exception classes and module names.

Code that was written for chromadb 0.3 works when its import is changed::

    import chroma_nb.compat as chromadb
    from chroma_nb.compat.config import Settings
    from chroma_nb.compat.utils import embedding_functions

and libraries that import chromadb themselves work after `install_as_chromadb`.

>>> import chroma_nb.compat as chromadb
>>> collection = chromadb.Client().create_collection("testname")
>>> collection.add(ids="uri9", embeddings=[1.5, 2.5], metadatas={"style": "style1"}, documents="doc1000101")
>>> collection.query(query_embeddings=[1.5, 2.0], n_results=1)
{'ids': [['uri9']], 'embeddings': None, 'documents': [['doc1000101']], 'metadatas': [[{'style': 'style1'}]],
 'distances': [[0.25]]}

``__version__`` is the version of Chroma whose API this is, because callers choose their way by it; the version
of this library is `chroma_nb.__version__`. Collections are the same as those of `chroma_nb.Client`: what one
dialect writes, the other reads.
"""

from chroma_nb.compat import api, config, errors, types, utils
from chroma_nb.compat.alias import install_as_chromadb
from chroma_nb.compat.api import API, ClientAPI, Search
from chroma_nb.compat.client import Client, EphemeralClient, HttpClient, PersistentClient
from chroma_nb.compat.collection import Collection
from chroma_nb.compat.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings, configure, get_settings
from chroma_nb.compat.types import (
    CollectionMetadata,
    Documents,
    EmbeddingFunction,
    Embeddings,
    GetResult,
    IDs,
    Include,
    Metadata,
    Metadatas,
    QueryResult,
    Where,
    WhereDocument,
)

__version__ = config.API_LEVEL

__all__ = [
    "API",
    "DEFAULT_DATABASE",
    "DEFAULT_TENANT",
    "Client",
    "ClientAPI",
    "Collection",
    "CollectionMetadata",
    "Documents",
    "EmbeddingFunction",
    "Embeddings",
    "EphemeralClient",
    "GetResult",
    "HttpClient",
    "IDs",
    "Include",
    "Metadata",
    "Metadatas",
    "PersistentClient",
    "QueryResult",
    "Search",
    "Settings",
    "Where",
    "WhereDocument",
    "__version__",
    "api",
    "config",
    "configure",
    "errors",
    "get_settings",
    "install_as_chromadb",
    "types",
    "utils",
]
