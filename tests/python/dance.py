"""The official MCP client (`mcp`) goes through a whole life with an MCP server: it discovers, registers, logs
in, calls tools, refreshes, steps up, revokes, finds itself refused and logs in anew.

Prints one line of JSON with what happened at each step; the exit status says whether all of it was right.
"""

import argparse
import asyncio
import json
import time
from contextlib import asynccontextmanager
from urllib.parse import urljoin

import httpx2
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

import headless

REDIRECT_URI = "http://127.0.0.1:33418/callback"
TIMEOUT = 30
REVOCATION_DEADLINE = 5


class Memory:
    """Where the client keeps its registration and tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class User:
    """Whoever sits in front of the browser that the client opens."""

    def __init__(self, name: str, iss: bool) -> None:
        self.name = name
        self.iss = iss
        self.logins = 0
        self.received: dict[str, str] = {}

    async def open(self, url: str) -> None:
        self.logins += 1
        self.received = await headless.authorize(url, REDIRECT_URI, self.name)

    async def callback(self) -> AuthorizationCodeResult:
        iss = self.received.get("iss") if self.iss else None
        return AuthorizationCodeResult(code=self.received["code"], state=self.received["state"], iss=iss)


@asynccontextmanager
async def connect(url: str, mode: str, auth: httpx2.Auth | None):
    async with (
        httpx2.AsyncClient(auth=auth, timeout=TIMEOUT) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=TIMEOUT) as client,
    ):
        yield client


async def use_tools(client: Client) -> dict:
    tools = sorted(tool.name for tool in (await client.list_tools()).tools)
    assert tools == ["echo", "whoami"], tools
    said = await client.call_tool("echo", {"text": "käse"})
    assert not said.is_error and said.content[0].text == "käse", said
    who = await client.call_tool("whoami", {})
    assert not who.is_error, who
    return {"tools": tools, "protocol": client.protocol_version, "whoami": who.structured_content}


def check_identity(whoami: dict, user: str) -> None:
    assert user in whoami["identity"].values(), whoami
    assert whoami["credential"]["scheme"] == "Bearer", whoami
    assert whoami["credential"]["is_proxy_token"] is False, whoami


async def post(provider: OAuthClientProvider, endpoint: str, form: dict[str, str]) -> httpx2.Response:
    data, headers = provider.context.prepare_token_auth(
        form | {"client_id": provider.context.client_info.client_id}, {}
    )
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        metadata = provider.context.oauth_metadata
        # Without metadata endpoints are at the root (MCP 2025-03-26).
        known = getattr(metadata, f"{endpoint}_endpoint") if metadata else None
        root = {"token": "/token", "revocation": "/revoke"}[endpoint]
        url = str(known) if known else urljoin(provider.context.server_url, root)
        response = await http.post(url, data=data, headers=headers)
    assert response.status_code == 200, response
    return response


async def revoke(provider: OAuthClientProvider, token: str) -> None:
    """RFC 7009."""
    await post(provider, "revocation", {"token": token})


async def narrow(provider: OAuthClientProvider, memory: Memory, scope: str) -> None:
    """Leaves the client with a token that has fewer scopes (RFC 6749 section 6)."""
    form = {"grant_type": "refresh_token", "refresh_token": memory.tokens.refresh_token, "scope": scope}
    tokens = OAuthToken.model_validate_json((await post(provider, "token", form)).content)
    assert tokens.scope == scope, tokens.scope
    memory.tokens = provider.context.current_tokens = tokens
    provider.context.client_metadata.scope = scope
    provider.context.update_token_expiry(tokens)


async def until_refused(url: str, token: str) -> dict:
    """How long after its revocation the token is still accepted."""
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        while (response := await http.post(url, json=ping, headers=headers)).status_code != 401:
            assert time.monotonic() - started < REVOCATION_DEADLINE, response
            await asyncio.sleep(0.02)
    challenge = response.headers["www-authenticate"]
    assert "invalid_token" in challenge, challenge
    return {"challenge": challenge, "after_ms": round((time.monotonic() - started) * 1000)}


async def dance(
    url: str, mode: str, name: str, iss: bool, client_metadata_url: str | None, step_up_from: str | None
) -> dict:
    memory, user = Memory(), User(name, iss)
    metadata = OAuthClientMetadata(redirect_uris=[REDIRECT_URI], client_name="Python client")
    provider = OAuthClientProvider(
        url, metadata, memory, user.open, user.callback, client_metadata_url=client_metadata_url
    )
    steps = {"mode": mode}

    async with connect(url, mode, provider) as client:
        steps["first_use"] = await use_tools(client)
        check_identity(steps["first_use"]["whoami"], name)
        assert user.logins == 1
        steps["client_id"] = memory.client.client_id
        first = memory.tokens
        steps["tokens"] = {"scope": first.scope, "expires_in": first.expires_in, "iss": user.received.get("iss")}

        provider.context.token_expiry_time = time.time() - 1
        steps["after_refresh"] = await use_tools(client)
        check_identity(steps["after_refresh"]["whoami"], name)
        assert user.logins == 1, "the refresh needed a login"
        assert memory.tokens.access_token != first.access_token
        assert memory.tokens.refresh_token != first.refresh_token

        logins = 1
        if step_up_from:
            await narrow(provider, memory, step_up_from)
            steps["after_step_up"] = await use_tools(client) | {"scope": memory.tokens.scope}
            logins += 1
            assert user.logins == logins, "the step-up is one login"

        last = memory.tokens
        await revoke(provider, last.refresh_token)
        steps["revoked"] = await until_refused(url, last.access_token)
        assert user.logins == logins

        steps["after_new_login"] = await use_tools(client)
        assert user.logins == logins + 1, "a revoked session went on without a login"
    return steps


async def without_login(url: str, mode: str) -> dict:
    async with connect(url, mode, None) as client:
        return {"mode": mode, "first_use": await use_tools(client)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--mode", default="auto", help="auto, legacy, or a protocol version")
    parser.add_argument("--user", default="ada")
    parser.add_argument(
        "--without-iss",
        action="store_true",
        help="does not hand `iss` to the client, as applications did before RFC 9207: without any metadata it knows no "
        "issuer, and refuses every one",
    )
    parser.add_argument("--client-metadata-url", help="the client's own document, in place of a registration")
    parser.add_argument("--step-up-from", help="a scope that is not enough, for a step-up from it")
    parser.add_argument("--without-login", action="store_true", help="for an MCP server that nothing protects")
    arguments = parser.parse_args()
    if arguments.without_login:
        steps = without_login(arguments.url, arguments.mode)
    else:
        iss, document = not arguments.without_iss, arguments.client_metadata_url
        steps = dance(arguments.url, arguments.mode, arguments.user, iss, document, arguments.step_up_from)
    print(json.dumps(asyncio.run(steps)))


if __name__ == "__main__":
    main()
