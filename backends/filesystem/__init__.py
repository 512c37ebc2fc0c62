"""The event store on an append-only log of files, with a derived index."""
