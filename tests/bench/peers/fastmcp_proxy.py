"""FastMCP's OAuthProxy in Portcullis's place. Usage: fastmcp_proxy.py PORT PROVIDER BACKEND

`/forward` checks the bearer token, puts the provider's token in its place, and passes the request on to the backend:
as little as FastMCP can do for it. `/mcp` is the MCP server that its users write, with a tool that asks the backend.
What it keeps it keeps in memory.
"""

import sys

import httpx2
import uvicorn
from fastmcp import FastMCP
from fastmcp.server.auth import OAuthProxy
from fastmcp.server.auth.providers.debug import DebugTokenVerifier
from fastmcp.server.dependencies import get_access_token
from key_value.aio.stores.memory import MemoryStore
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

PORT, PROVIDER, BACKEND = int(sys.argv[1]), sys.argv[2], sys.argv[3]
SCOPES = ["openid", "email", "offline_access"]

auth = OAuthProxy(
    upstream_authorization_endpoint=f"{PROVIDER}/authorize",
    upstream_token_endpoint=f"{PROVIDER}/token",
    upstream_client_id="portcullis",
    upstream_client_secret="demo-secret",
    # Takes the provider's token for good without a look: whatever else it did would cost more.
    token_verifier=DebugTokenVerifier(scopes=SCOPES, required_scopes=SCOPES),
    base_url=f"http://127.0.0.1:{PORT}",
    client_storage=MemoryStore(),
    jwt_signing_key="bench-bench-bench-bench-bench-bench",
    require_authorization_consent=False,
)
server = FastMCP("bench", auth=auth)
backend = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=100, max_keepalive_connections=100))


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> Response:
    return PlainTextResponse("ok")


@server.custom_route("/forward", methods=["GET", "POST"])
async def forward(request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    access = await auth.verify_token(token) if scheme.lower() == "bearer" else None
    if access is None:
        return Response(status_code=401)
    headers = {**request.headers, "authorization": f"Bearer {access.token}"}
    answer = await backend.request(
        request.method, f"{BACKEND}/mcp", headers=headers, content=await request.body()
    )
    return Response(answer.content, answer.status_code, media_type="application/json")


@server.tool
async def ask() -> str:
    """Asks the backend in the caller's name."""
    headers = {"authorization": f"Bearer {get_access_token().token}"}
    return (await backend.post(f"{BACKEND}/mcp", headers=headers)).text


if __name__ == "__main__":
    application = server.http_app(path="/mcp", stateless_http=True, json_response=True)
    uvicorn.run(application, host="127.0.0.1", port=PORT, log_level="warning", access_log=False)
