"""What there is to compare with: a bare aiohttp application that does the least that an event server could do.

``POST`` parses, validates and echoes an event; ``GET`` returns a constant event. Nothing is stored or checked twice.
"""

import os
from pathlib import Path
from typing import Final

import jiter
import jsonschema_rs
import uvloop
from aiohttp import web

from bench.events import events

SCHEMAS: Final = Path(__file__).parents[1] / "schemas"


def make_app(schemas: Path = SCHEMAS) -> web.Application:
    """Make the application, with the schema of the event that the load generator sends."""
    is_valid = jsonschema_rs.validator_for(
        jiter.from_json((schemas / "smrtlink_job_change_state" / "1.json").read_bytes()),
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    ).is_valid
    constant = next(events(0))

    async def post_event(request: web.Request) -> web.Response:
        body = await request.read()
        if not is_valid(jiter.from_json(body)["message"]):
            raise web.HTTPUnprocessableEntity
        return web.Response(body=body, status=201, content_type="application/json")

    async def get_event(request: web.Request) -> web.Response:
        assert request.match_info["uuid"]
        return web.Response(body=constant, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v1/events", post_event)
    app.router.add_get("/api/v1/events/{uuid}", get_event)
    return app


def main() -> None:
    """Serve until stopped, on the port that the server's own variable names."""
    port = int(os.environ["SMRTFLOW_SERVER_PORT"])
    web.run_app(make_app(), port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
