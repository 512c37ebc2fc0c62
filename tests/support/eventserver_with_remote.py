"""The command line of the event server, which further knows ``remote://host:port`` (``tests.support.remote_store``)."""

import backends
from eventserver.cli import main

backends._STORES["remote"] = ("tests.support.remote_store", "from_url")  # type: ignore[index]

if __name__ == "__main__":
    main()
