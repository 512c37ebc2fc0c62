"""A real server that speaks S3, for tests: S3Proxy, which keeps objects as files, from the jars that Maven fetches.

It checks signatures, and answers as the documentation of S3 says; what is put stays over a kill.
"""

from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import quote

from servers import java
from servers.choice import Make, choose
from servers.ports import free_port
from servers.runner import ProcessRunner, Runner
from servers.server import RealServer

VERSION: Final = "3.1.0"
JACKSON: Final = "2.21.2"
"""One version of all parts; those that Maven picks by itself don't fit together, and uploads in parts fail."""
JARS: Final = " ".join(
    (
        f"org.gaul:s3proxy:{VERSION}",
        f"com.fasterxml.jackson.core:jackson-core:{JACKSON}",
        f"com.fasterxml.jackson.core:jackson-databind:{JACKSON}",
        "com.fasterxml.jackson.core:jackson-annotations:2.21",
    )
)
JAVA: Final = 17
HEAP: Final = "256m"
BUCKET: Final = "bundles"
USER: Final = "a-test-key"
SECRET: Final = "not+a/secret"
SETTINGS: Final = f"""s3proxy.authorization=aws-v2-or-v4
s3proxy.endpoint=http://127.0.0.1:{{port}}
s3proxy.identity={USER}
s3proxy.credential={SECRET}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={{data}}
"""
LOGGING: Final = """<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5p %c{1}: %m%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="out"/></root>
</configuration>
"""


class S3(RealServer):
    """A real S3 with one bucket.

    Attributes:
        port: where it answers on 127.0.0.1; the same over restarts.

    """

    def __init__(self, title: str, runner: Runner, port: int) -> None:
        super().__init__(title, runner)
        self.port = port

    def url(self, prefix: str, *, port: int | None = None, bucket: str = BUCKET, **options: object) -> str:
        """Return the URL of a store of bundles; `port` is that of a proxy, if there is one."""
        query = "".join(f"&{name}={quote(str(value))}" for name, value in options.items())
        return f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{port or self.port}{query}"

    @property
    def environment(self) -> dict[str, str]:
        """What the environment of a client says: its keys."""
        return {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET}

    def ready(self) -> bool:
        """Whether it answers, be it with a refusal."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                return False
        return answer.status < HTTPStatus.INTERNAL_SERVER_ERROR


def prepare() -> Make[S3]:
    """Fetch what the server needs, if that was not yet done.

    Raises:
        NoServer: it can't be had; the text says what to install.

    """
    return choose([_on_java], "Tests need a real S3: install Java 17 or newer and Maven.")


def _on_java() -> Make[S3]:
    home = java.find_java(lambda version: version >= JAVA, f"{JAVA} or newer", compiler=False)
    jars = java.cached(f"s3proxy-{VERSION}-{JACKSON}", lambda folder: java.fetch(JARS, folder))

    def make(folder: Path) -> S3:
        port = free_port()
        (folder / "data" / BUCKET).mkdir(parents=True)
        settings, logging = folder / "s3.properties", folder / "logback.xml"
        settings.write_text(SETTINGS.format(port=port, data=folder / "data"))
        logging.write_text(LOGGING)
        command: list[str | Path] = [home / "bin" / "java", f"-Xmx{HEAP}", f"-Dlogback.configurationFile={logging}"]
        command += ["-cp", f"{jars}/*", "org.gaul.s3proxy.Main", "--properties", settings]
        return S3(f"S3Proxy {VERSION} on the Java of {home}", ProcessRunner(command, folder / "s3.log"), port)

    return make
