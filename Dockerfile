# Built in one stage and run in another, so that the image has no compiler, no uv and no cache.
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1

WORKDIR /src
COPY requirements.lock ./
# uv itself, too, is the one of the lock, with its hashes.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.txt \
    && pip install --require-hashes --requirement uv.txt \
    && python -m venv --without-pip /opt/eventserver

COPY pyproject.toml README.md ./
COPY backends backends
COPY eventserver eventserver
COPY schemas schemas
# The lock as a constraint: its versions and hashes for what the server needs and the drivers of its stores, and nothing of the
# development tools.
RUN uv build --wheel --build-constraints requirements.lock --out-dir dist \
    && uv pip install --python /opt/eventserver/bin/python --constraints requirements.lock \
        "$(echo dist/*.whl)[elasticsearch,cassandra]"


FROM python:3.13-slim

RUN useradd --system --uid 10001 --home-dir /var/lib/eventserver --create-home eventserver
COPY --from=build /opt/eventserver /opt/eventserver

ENV PATH=/opt/eventserver/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SMRTFLOW_EVENT_ROOT_DIR=/var/lib/eventserver SMRTFLOW_EVENT_LOG_FORMAT=json

USER eventserver
WORKDIR /var/lib/eventserver
VOLUME /var/lib/eventserver
EXPOSE 8070

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:%s/health/ready' % os.environ.get('SMRTFLOW_SERVER_PORT', '8070'), timeout=4)"]

# In the exec form the server is process 1 and gets the SIGTERM of `docker stop` itself.
CMD ["eventserver", "serve"]
