"""The event store on Elasticsearch 8 and 9."""

from pathlib import Path

from backends.elasticsearch.options import Options
from backends.elasticsearch.store import ElasticsearchStore

__all__ = ["ElasticsearchStore", "Options", "from_url"]


def from_url(url: str, *, root: Path, read_only: bool, timeout: float) -> ElasticsearchStore:  # noqa: ARG001 - no files
    """Make the store of ``elasticsearch://host:9200/prefix`` (``elasticsearchs:`` over TLS); see ``Options``.

    Raises:
        InvalidStoreURL: it can't be understood; the message shows no secret.

    """
    return ElasticsearchStore(Options.parse(url, timeout=timeout), read_only=read_only)
