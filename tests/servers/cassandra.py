"""A real Cassandra for tests.

Which one: that of the URL in SMRTFLOW_TEST_CASSANDRA; else a container where a Docker daemon answers; else one of its
own from the jars that Maven fetches.
"""

import os
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from servers import cql, java
from servers.choice import Make, choose
from servers.errors import NoServer
from servers.ports import free_port
from servers.runner import PROXY, ProcessRunner, Runner
from servers.server import RealServer

VERSION: Final = "5.0.4"
VARIABLE: Final = "SMRTFLOW_TEST_CASSANDRA"
JAVA: Final = (11, 17)
HEAP: Final = "768M"
IMAGE: Final = "cassandra:5.0"
CQL_PORT: Final = 9042
QUICKLY: Final = (
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=100",
)
CONTAINER: Final = {"MAX_HEAP_SIZE": HEAP, "HEAP_NEWSIZE": "128M", "JVM_EXTRA_OPTS": " ".join(QUICKLY)}
OPTIONS: Final = Path(__file__).with_name("cassandra.options")
SETTINGS: Final = """cluster_name: tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
{durability}
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {cql}
storage_port: {storage}
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage}"
data_file_directories: ["{folder}/data"]
commitlog_directory: "{folder}/commitlog"
saved_caches_directory: "{folder}/saved_caches"
hints_directory: "{folder}/hints"
cdc_raw_directory: "{folder}/cdc_raw"
auto_snapshot: false
"""
GROUP: Final = "commitlog_sync: group\ncommitlog_sync_group_window: 1ms"
"""What is acknowledged is on the disk."""
PERIODIC: Final = "commitlog_sync: periodic\ncommitlog_sync_period: 10s"
"""What is acknowledged is on the disk within ten seconds: Cassandra's own default."""
LOGGING: Final = """<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %-5level %logger{20}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="console"/></root>
</configuration>
"""


class Cassandra(RealServer):
    """A real Cassandra of one node.

    Attributes:
        host: where it answers.
        port: the port of its native protocol, the same over restarts.

    """

    def __init__(self, title: str, runner: Runner, host: str, port: int) -> None:
        super().__init__(title, runner)
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Where it answers, such as ``cassandra://127.0.0.1:20123``."""
        return f"cassandra://{self.host}:{self.port}"

    def execute(self, statement: str, *, seconds: float = 30.0) -> None:
        """Execute a statement, past any driver; what it returns is not read.

        Raises:
            cql.Refused: the server refuses it.
            OSError: there was no answer.

        """
        cql.execute(self.host, self.port, statement, seconds)

    def ready(self) -> bool:
        """Whether it takes statements."""
        try:
            self.execute("SELECT key FROM system.local", seconds=5)
        except (OSError, cql.Refused):
            return False
        return True


def prepare() -> Make[Cassandra]:
    """Choose a server, and fetch what it needs, if that was not yet done.

    Raises:
        NoServer: none can be had; the text says what to install.

    """
    return choose(
        [_at_url] if os.environ.get(VARIABLE) else [_in_container, on_java],
        f"Tests need a real Cassandra: install Java 17 (or 11) and Maven, or start Docker, or set {VARIABLE} to "
        f"cassandra://host:port of a running Cassandra {VERSION}.",
    )


def _at_url() -> Make[Cassandra]:
    url = urlsplit(os.environ[VARIABLE])
    if url.scheme != "cassandra" or url.hostname is None or url.username is not None:
        raise NoServer(f"{VARIABLE} is not of the form cassandra://host:port")
    far = (url.hostname, str(url.port or CQL_PORT))

    def make(folder: Path) -> Cassandra:
        port = free_port()
        runner = ProcessRunner([sys.executable, PROXY, str(port), *far], folder / "proxy.log")
        return Cassandra(f"the Cassandra of {VARIABLE}", runner, "127.0.0.1", port)

    return make


def _in_container() -> Make[Cassandra]:
    from servers.container import ContainerRunner, have_image  # noqa: PLC0415 - only where it is wanted

    have_image(IMAGE)

    def make(_: Path) -> Cassandra:
        port = free_port()
        runner = ContainerRunner(IMAGE, CQL_PORT, port, CONTAINER)
        return Cassandra(f"Cassandra from the image {IMAGE}", runner, runner.host, port)

    return make


def on_java(durability: str = GROUP) -> Make[Cassandra]:
    """Take one of our own from the jars that Maven fetches.

    Args:
        durability: lines of its configuration.

    Raises:
        NoServer: there is no Java for it, or the jars can't be had.

    """
    home = java.find_java(lambda version: version in JAVA, "17 or 11", compiler=False)
    jars = java.cached(
        f"cassandra-{VERSION}", lambda folder: java.fetch(f"org.apache.cassandra:cassandra-all:{VERSION}", folder)
    )

    def make(folder: Path) -> Cassandra:
        port = free_port()
        config = folder / "config"
        config.mkdir()
        settings = SETTINGS.format(cql=port, storage=free_port(), folder=folder, durability=durability)
        (config / "cassandra.yaml").write_text(settings)
        (config / "logback.xml").write_text(LOGGING)
        command: list[str | Path] = [
            home / "bin" / "java",
            f"@{OPTIONS}",
            f"-Xms{HEAP}",
            f"-Xmx{HEAP}",
            "-cp",
            f"{config}:{jars}/*",
        ]
        command += [f"-Dcassandra.config=file://{config}/cassandra.yaml", f"-Dcassandra.storagedir={folder}"]
        command += [f"-Dlogback.configurationFile={config}/logback.xml", "-Dcassandra-foreground=yes"]
        command += ["-Djdk.attach.allowAttachSelf=true", *QUICKLY, "org.apache.cassandra.service.CassandraDaemon"]
        runner = ProcessRunner(command, folder / "cassandra.log")
        return Cassandra(f"Cassandra {VERSION} on the Java of {home}", runner, "127.0.0.1", port)

    return make
