"""A server in a container, where a Docker daemon answers."""

import gc
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from servers.errors import NoServer
from servers.runner import SHOWN, Runner
from servers.watchdog import Watchdog

STOP_SECONDS: Final = 30


def have_image(image: str) -> None:
    """Pull an image if it is not there.

    Raises:
        NoServer: no Docker daemon answers, or it does not get the image.

    """
    with warnings.catch_warnings():
        # The client leaves its socket open where no daemon answers.
        warnings.simplefilter("ignore", ResourceWarning)
        failure = _pull(image)
        gc.collect()
    if failure:
        raise NoServer(f"Docker does not give {image} ({failure})")


def _pull(image: str) -> str:
    """Return what failed, or nothing."""
    try:
        client = DockerClient().client
        try:
            client.images.get(image)
        except ImageNotFound:
            client.images.pull(image)
        finally:
            client.close()
    except (DockerException, OSError) as error:
        return str(error)
    return ""


class ContainerRunner(Runner):
    """A container, which never outlives the tests."""

    def __init__(self, image: str, port: int, host_port: int, environment: Mapping[str, str]) -> None:
        """Run an image of which one port is open on the host, always the same one."""
        # Its own way to clean up after tests that crashed is one more image; the watchdog does that here.
        testcontainers_config.ryuk_disabled = True
        self._container = DockerContainer(image, env=dict(environment), mem_limit="2g")
        self._container.with_bind_ports(port, host_port)
        self._watchdog: Watchdog | None = None

    @property
    def host(self) -> str:
        """Where its port is open."""
        return self._container.get_docker_client().host()

    def launch(self) -> None:  # noqa: D102 - of the interface; so are those below
        if self._watchdog is not None:
            self._container.get_wrapped_container().start()
            return
        try:
            self._container.start()
        except (DockerException, OSError) as error:
            raise NoServer(f"Docker does not start {self._container.image}: {error}") from error
        self._watchdog = Watchdog("container", self._container.get_container_id())

    def ended(self) -> bool:  # noqa: D102
        if self._watchdog is None:
            return True
        self._container.reload()
        return self._container.status in ("exited", "dead")

    def kill(self) -> None:  # noqa: D102
        if not self.ended():
            self._container.get_wrapped_container().kill("SIGKILL")
            self._container.get_wrapped_container().wait(timeout=STOP_SECONDS)

    def terminate(self) -> None:  # noqa: D102
        if not self.ended():
            self.resume()
            self._container.get_wrapped_container().stop(timeout=STOP_SECONDS)

    def pause(self) -> None:  # noqa: D102
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:  # noqa: D102
        with suppress(DockerException):
            self._container.get_wrapped_container().unpause()

    def output(self) -> str:  # noqa: D102
        written, errors = self._container.get_logs()
        return (written + errors).decode(errors="replace")[-SHOWN:]

    def discard(self) -> None:  # noqa: D102
        self._container.stop()
        if self._watchdog is not None:
            self._watchdog.release()
            self._watchdog = None
