"""A real Elasticsearch for tests.

Which one: that of the URL in SMRTFLOW_TEST_ELASTICSEARCH; else a container where a Docker daemon answers; else one of
its own from the jars that Maven fetches (a node without the x-pack, scripting, reindex and data stream modules, and
without ``GET /``). The two latter are of the version in SMRTFLOW_TEST_ELASTICSEARCH_VERSION, if there is one: seen to
work are 8.19.0 and 9.2.0.
"""

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from servers import java
from servers.choice import Make, choose
from servers.errors import NoServer
from servers.ports import free_port
from servers.runner import PROXY, ProcessRunner, Runner
from servers.server import RealServer

VARIABLE: Final = "SMRTFLOW_TEST_ELASTICSEARCH"
VERSION: Final = os.environ.get(f"{VARIABLE}_VERSION", "9.2.0")
JAVA: Final = 21
HEAP: Final = "512m"
IMAGE: Final = f"docker.elastic.co/elasticsearch/elasticsearch:{VERSION}"
CONTAINER: Final = {
    "discovery.type": "single-node",
    "xpack.security.enabled": "false",
    "ingest.geoip.downloader.enabled": "false",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
    "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP}",
}
LAUNCHER: Final = Path(__file__).with_name("ElasticsearchLauncher.java")
PLUGIN: Final = f"""description=Netty 4 based transport implementation
version={VERSION}
name=transport-netty4
classname=org.elasticsearch.transport.netty4.Netty4Plugin
java.version={JAVA}
elasticsearch.version={VERSION}
extended.plugins=
has.native.controller=false
modulename=org.elasticsearch.transport.netty4
"""
SETTINGS: Final = """cluster.name: tests
node.name: n1
discovery.type: single-node
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
cluster.routing.allocation.disk.threshold_enabled: false
"""
LOGGING: Final = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class Elasticsearch(RealServer):
    """A real Elasticsearch.

    Attributes:
        url: where it answers, such as ``http://127.0.0.1:20123``; the same over restarts.

    """

    def __init__(self, title: str, runner: Runner, url: str) -> None:
        super().__init__(title, runner)
        self.url = url.rstrip("/")

    def request(self, method: str, path: str, body: Any = None, *, seconds: float = 30.0) -> Any:
        """Send a request, past any client, and return the decoded answer.

        Raises:
            urllib.error.HTTPError: the answer's status is 400 or more.
            OSError: there was no answer.

        """
        parts = urlsplit(self.url)
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        headers = {"Content-Type": "application/json"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address + path, data=data, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=seconds) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:
            raise (error.reason if isinstance(error.reason, OSError) else error) from None

    def ready(self) -> bool:
        """Whether its health is yellow or green."""
        try:
            return bool(self.request("GET", "/_cluster/health", seconds=5)["status"] in ("yellow", "green"))
        except (OSError, ValueError):
            return False

    def remove(self, prefix: str) -> None:
        """Remove, by their names, all indices and index templates that begin with a prefix."""
        indices = sorted(self.request("GET", f"/{prefix}*/_alias?expand_wildcards=all"))
        for start in range(0, len(indices), 20):
            self.request("DELETE", "/" + ",".join(indices[start : start + 20]))
        for found in self.request("GET", "/_index_template")["index_templates"]:
            if found["name"].startswith(prefix):
                self.request("DELETE", f"/_index_template/{found['name']}")


def prepare() -> Make[Elasticsearch]:
    """Choose a server, and fetch what it needs, if that was not yet done.

    Raises:
        NoServer: none can be had; the text says what to install.

    """
    return choose(
        [_at_url] if os.environ.get(VARIABLE) else [_in_container, _on_java],
        f"Tests need a real Elasticsearch: install a JDK 21 or newer and Maven, or start Docker, or set {VARIABLE} to "
        f"the URL of a running Elasticsearch {VERSION}.",
    )


def _at_url() -> Make[Elasticsearch]:
    url = urlsplit(os.environ[VARIABLE])
    if url.scheme != "http" or url.hostname is None:
        raise NoServer(f"{VARIABLE} is not of the form http://user:password@host:port")
    far = (url.hostname, str(url.port or 80))

    def make(folder: Path) -> Elasticsearch:
        port = free_port()
        runner = ProcessRunner([sys.executable, PROXY, str(port), *far], folder / "proxy.log")
        user = url.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"
        return Elasticsearch(f"the Elasticsearch of {VARIABLE}", runner, url._replace(netloc=netloc).geturl())

    return make


def _in_container() -> Make[Elasticsearch]:
    from servers.container import ContainerRunner, have_image  # noqa: PLC0415 - only where it is wanted

    have_image(IMAGE)

    def make(_: Path) -> Elasticsearch:
        port = free_port()
        runner = ContainerRunner(IMAGE, 9200, port, CONTAINER)
        return Elasticsearch(f"Elasticsearch from the image {IMAGE}", runner, f"http://{runner.host}:{port}")

    return make


def _on_java() -> Make[Elasticsearch]:
    jdk = java.find_java(lambda version: version >= JAVA, f"{JAVA} or newer")
    home = install(jdk)

    def make(folder: Path) -> Elasticsearch:
        config = folder / "config"
        config.mkdir()
        port = free_port()
        (config / "elasticsearch.yml").write_text(SETTINGS.format(http=port, transport=free_port(), folder=folder))
        (config / "log4j2.properties").write_text(LOGGING)
        command: list[str | Path] = [jdk / "bin" / "java", f"-Xms{HEAP}", f"-Xmx{HEAP}"]
        command += [f"-Des.path.home={home}", "-Des.distribution.type=tar", "--module-path", home / "lib"]
        command += ["--add-modules=jdk.net,jdk.management.agent,ALL-MODULE-PATH"]
        command += ["--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core"]
        command += ["-cp", home / "launcher", LAUNCHER.stem, home, config]
        runner = ProcessRunner(command, folder / "elasticsearch.log")
        return Elasticsearch(f"Elasticsearch {VERSION} on the Java of {jdk}", runner, f"http://127.0.0.1:{port}")

    return make


def install(jdk: Path) -> Path:
    """Return the folder of the installed server, fetched and compiled if this was not yet done."""

    def fill(home: Path) -> None:
        module = home / "modules" / "transport-netty4"
        java.fetch(f"org.elasticsearch:elasticsearch:{VERSION}", home / "lib")
        java.fetch(f"org.elasticsearch.plugin:transport-netty4:{VERSION}", module)
        for jar in (home / "lib").iterdir():
            (module / jar.name).unlink(missing_ok=True)
        (module / "plugin-descriptor.properties").write_text(PLUGIN)
        javac: list[str | Path] = [jdk / "bin" / "javac", "--release", str(JAVA), "-cp", home / "lib" / "*"]
        java.run([*javac, "-d", home / "launcher", LAUNCHER], f"{LAUNCHER.name} could not be compiled")

    recipe = hashlib.sha256(LAUNCHER.read_bytes() + PLUGIN.encode()).hexdigest()[:8]
    return java.cached(f"elasticsearch-{VERSION}-{recipe}", fill)
