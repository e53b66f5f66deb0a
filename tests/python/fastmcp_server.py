"""An MCP server made with FastMCP, with the demo's two tools. Usage: fastmcp_server.py PORT"""

import hashlib
import sys

from fastmcp import FastMCP
from fastmcp.server.dependencies import get_http_headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse

IDENTITY = "x-portcullis-"

server = FastMCP("portcullis-tests")


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


@server.tool
def whoami() -> dict:
    """Who the edge says is calling, and a fingerprint of the credential it sent along."""
    headers = get_http_headers(include_all=True)
    return {
        "identity": {name: value for name, value in headers.items() if name.startswith(IDENTITY)},
        "credential": fingerprint(headers.get("authorization")),
    }


@server.tool
def echo(text: str) -> str:
    """Says what it is told."""
    return text


def fingerprint(authorization: str | None) -> dict | None:
    """Enough to recognise a credential, not enough to use it."""
    if authorization is None:
        return None
    scheme, _, credential = authorization.rpartition(" ")
    return {
        "scheme": scheme,
        "length": len(credential),
        "sha256": hashlib.sha256(credential.encode()).hexdigest()[:12],
        "is_proxy_token": credential.startswith("pcl_"),
    }


if __name__ == "__main__":
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), path="/mcp", show_banner=False)
