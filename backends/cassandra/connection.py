"""The way to Cassandra: the driver's session, and its answers as asyncio futures.

The driver reads and writes in one thread of its own (libev; see ADR 11). A statement is sent without waiting; its
answer wakes the event loop once for all answers that came meanwhile, so no thread waits for a request. While no node
can be reached, each call tries to connect anew, all callers together: nothing waits for a timer of the driver.
"""

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.io.libevreactor import LibevConnection
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    FallthroughRetryPolicy,
    NoSpeculativeExecutionPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.query import BatchStatement, BatchType, PreparedStatement, dict_factory, tuple_factory

from backends.cassandra import layout
from backends.cassandra.counts import Counts
from backends.cassandra.options import Options
from backends.cassandra.problems import ERRORS, LayoutMissing, Unreachable, problem
from backends.cassandra.statements import Statements, prepare
from backends.errors import StoreClosed, StoreError, StoreUnavailable, UnsupportedLayout

PROTOCOL: Final = 4
"""Of all servers since 2.2. Version 5 checks its frames in Python, which costs more than it protects within TCP."""
CONNECT_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 5
_LONGEST_RECONNECTION: Final = 10.0
_CLAIM: Final = "claim"
_SERIAL_READ: Final = "serial read"
_LOGGER: Final = logging.getLogger(__name__)


class _Link:
    """One connection to the cluster, and what was prepared on it."""

    def __init__(self, cluster: Cluster, session: Session, statements: Statements) -> None:
        self.cluster = cluster
        self.session = session
        self.statements = statements


class Connection:
    """Sends statements, a bounded number at the same time.

    Args:
        options: where, as whom, how.
        counts: of what happens.
        read_only: nothing is created.

    """

    def __init__(self, options: Options, counts: Counts, *, read_only: bool) -> None:
        self._options = options
        self._counts = counts
        self._read_only = read_only
        self._link: _Link | None = None
        self._connecting: asyncio.Task[_Link] | None = None
        self._free = asyncio.Semaphore(options.concurrency)
        self._answers: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._is_woken = False
        self._is_open = False
        self._ending: set[asyncio.Task[None]] = set()

    async def open(self, deadline: float) -> None:
        """Connect.

        Raises:
            StoreUnavailable: not now.
            UnsupportedLayout: a newer release wrote what is there.

        """
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        try:
            await self._linked(deadline)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of all connections; nothing may be under way. Idempotent."""
        self._is_open = False
        connecting, link = self._connecting, self._link
        self._connecting = self._link = None
        if connecting is not None:
            (found,) = await asyncio.gather(connecting, return_exceptions=True)
            link = found if isinstance(found, _Link) else link
        if link is not None:
            self._end(link)
        while self._ending:
            await asyncio.wait(self._ending)

    async def statements(self, deadline: float) -> Statements:
        """Return the statements, prepared; connects when that is needed.

        Raises:
            StoreUnavailable: no node can be reached by then.

        """
        return (self._link or await self._linked(deadline)).statements

    async def read(self, statement: PreparedStatement, values: Sequence[Any], *, deadline: float) -> list[Any]:
        """Execute a statement of ``statements``; return its rows as tuples.

        Raises:
            StoreError: it was not answered by the deadline (``time.monotonic``), or refused.

        """
        return await self._send(statement.bind(values), EXEC_PROFILE_DEFAULT, deadline)

    async def write(
        self, statement: PreparedStatement, rows: Sequence[Sequence[Any]], *, deadline: float
    ) -> StoreError | None:
        """Write rows of one partition, all or none of them; return why they were not, or may not have been, written."""
        query: Any = statement.bind(rows[0])
        if len(rows) > 1:
            query = BatchStatement(BatchType.UNLOGGED)
            query.is_idempotent = True
            for row in rows:
                query.add(statement, row)
        try:
            await self._send(query, EXEC_PROFILE_DEFAULT, deadline)
        except StoreError as error:
            return error
        return None

    async def change(self, statement: PreparedStatement, values: Sequence[Any], *, deadline: float) -> dict[str, Any]:
        """Execute a conditional statement; return its row: ``[applied]``, and what was there if that is false.

        Raises:
            StoreError: as ``read``; whether it took effect is unknown.

        """
        rows = await self._send(statement.bind(values), _CLAIM, deadline)
        return dict(rows[0])

    async def read_serially(
        self, statement: PreparedStatement, values: Sequence[Any], *, deadline: float
    ) -> dict[str, Any] | None:
        """Read one row after all conditional statements on it that may still be under way were finished or made void.

        Raises:
            StoreError: as ``read``.

        """
        rows = await self._send(statement.bind(values), _SERIAL_READ, deadline)
        return dict(rows[0]) if rows else None

    async def _send(self, query: Any, profile: str, deadline: float) -> list[Any]:
        link = self._link or await self._linked(deadline)
        try:
            return await self._send_over(link, query, profile, deadline)
        except LayoutMissing:
            self._drop(link)
            raise
        except Unreachable:
            # It was not sent. The cluster may be back, and the driver may not know it yet.
            self._drop(link)
            return await self._send_over(await self._linked(deadline), query, profile, deadline)

    async def _send_over(self, link: _Link, query: Any, profile: str, deadline: float) -> list[Any]:
        if self._free.locked():
            await self._wait(deadline)
        else:
            await self._free.acquire()
        try:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise StoreUnavailable("Cassandra has not answered in time")
            future: asyncio.Future[Any] = self._loop.create_future()
            response = link.session.execute_async(query, timeout=seconds, execution_profile=profile)
            response.add_callbacks(partial(self._answered, future), partial(self._failed, future))
            return await future or []
        except ERRORS as error:
            raise problem(error) from error
        finally:
            self._free.release()

    async def _wait(self, deadline: float) -> None:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                await self._free.acquire()
        except TimeoutError:
            raise StoreUnavailable("Cassandra has not answered in time") from None

    def _answered(self, future: "asyncio.Future[Any]", rows: Any) -> None:
        self._answers.append((future, rows, None))
        self._wake()

    def _failed(self, future: "asyncio.Future[Any]", error: BaseException) -> None:
        self._answers.append((future, None, error))
        self._wake()

    def _wake(self) -> None:
        """Run in the driver's thread: let the event loop look at the answers, unless it was told already."""
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                _LOGGER.debug("an answer came after the event loop had ended")

    def _deliver(self) -> None:
        self._is_woken = False
        while self._answers:
            future, rows, error = self._answers.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(rows)
            else:
                future.set_exception(error)

    async def _linked(self, deadline: float) -> _Link:
        if not self._is_open:
            raise StoreClosed("the store is not open")
        if self._connecting is None:
            self._connecting = asyncio.create_task(asyncio.to_thread(self._connect), name="connect to Cassandra")
            self._connecting.add_done_callback(self._connected)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await asyncio.shield(self._connecting)
        except TimeoutError:
            raise Unreachable("Cassandra has not answered in time") from None
        except UnsupportedLayout:
            raise
        except StoreError as error:
            raise type(error)(str(error)) from error

    def _connected(self, task: "asyncio.Task[_Link]") -> None:
        if task is self._connecting:
            self._connecting = None
            if not task.cancelled() and task.exception() is None:
                self._link = task.result()
                self._counts.connects += 1

    def _drop(self, link: _Link) -> None:
        """Connect anew for the next call."""
        if self._link is link:
            self._link = None
            self._end(link)

    def _end(self, link: _Link) -> None:
        task = asyncio.create_task(asyncio.to_thread(link.cluster.shutdown), name="leave Cassandra")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _connect(self) -> _Link:
        """Connect; blocks."""
        cluster = None
        try:
            cluster = self._make_cluster()
            session = cluster.connect()
            layout.ensure(cluster, session, self._options, read_only=self._read_only)
            return _Link(cluster, session, prepare(session, self._options))
        except BaseException as error:
            if cluster is not None:
                cluster.shutdown()
            if isinstance(error, ERRORS):
                raise problem(error) from error
            raise

    def _make_cluster(self) -> Cluster:
        options = self._options
        context = None
        if options.tls:
            context = ssl.create_default_context(cafile=options.ca)
            if options.certificate is not None:
                context.load_cert_chain(options.certificate)
        port = options.hosts[0][1]
        return Cluster(
            [host if own == port else (host, own) for host, own in options.hosts],
            port=port,
            protocol_version=PROTOCOL,
            compression=False,
            connection_class=LibevConnection,
            auth_provider=PlainTextAuthProvider(options.user, options.password) if options.user else None,
            ssl_context=context,
            connect_timeout=CONNECT_SECONDS,
            control_connection_timeout=CONNECT_SECONDS,
            idle_heartbeat_interval=HEARTBEAT_SECONDS,
            idle_heartbeat_timeout=HEARTBEAT_SECONDS,
            reconnection_policy=ExponentialReconnectionPolicy(0.5, _LONGEST_RECONNECTION, max_attempts=None),
            execution_profiles=self._profiles(),
            monitor_reporting_enabled=False,
        )

    def _profiles(self) -> dict[Any, ExecutionProfile]:
        options = self._options
        consistency = ConsistencyLevel.name_to_value[options.consistency.upper()]
        serial = ConsistencyLevel.name_to_value[options.serial_consistency.upper()]
        policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(options.local_dc or ""))
        speculation = (
            NoSpeculativeExecutionPolicy()
            if options.speculative_delay is None
            else ConstantSpeculativeExecutionPolicy(options.speculative_delay, 1)
        )

        def profile(consistency: int, rows: Any, retries: RetryPolicy, **other: Any) -> ExecutionProfile:
            return ExecutionProfile(
                load_balancing_policy=policy,
                retry_policy=retries,
                consistency_level=consistency,
                serial_consistency_level=serial,
                row_factory=rows,
                request_timeout=options.timeout,
                **other,
            )

        once = FallthroughRetryPolicy()
        return {
            EXEC_PROFILE_DEFAULT: profile(
                consistency, tuple_factory, RetryPolicy(), speculative_execution_policy=speculation
            ),
            # A claim whose outcome is unknown is not sent again by the driver, but read (see ``claims``).
            _CLAIM: profile(consistency, dict_factory, once),
            _SERIAL_READ: profile(serial, dict_factory, once),
        }
