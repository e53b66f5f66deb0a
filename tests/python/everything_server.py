"""An MCP server with what the scenarios of the MCP conformance suite ask for. Usage: everything_server.py PORT"""

import asyncio
import base64
import json
import sys
from collections.abc import Callable

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp_types import (
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from starlette.requests import Request
from starlette.responses import PlainTextResponse

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
SILENCE = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0").decode()
PAUSE = 0.05

server = MCPServer("portcullis-conformance")


@server.custom_route("/healthz", methods=["GET"])
async def healthz(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def tool(function: Callable) -> Callable:
    return server.tool(description=function.__name__, structured_output=False)(function)


def prompt(function: Callable) -> Callable:
    return server.prompt(description=function.__name__)(function)


# What tools give back.

IMAGE = ImageContent(type="image", data=PIXEL, mime_type="image/png")


def embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


@tool
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@tool
def test_image_content() -> list[ImageContent]:
    return [IMAGE]


@tool
def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")]


@tool
def test_embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@tool
def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    data = embedded("test://mixed-content-resource", "application/json", json.dumps({"test": "data", "value": 123}))
    return [TextContent(type="text", text="Multiple content types test:"), IMAGE, data]


@tool
def test_error_handling() -> str:
    raise ValueError("This tool intentionally returns an error for testing")


# What servers send before they answer: through the edge, this is an event stream.


@tool
async def test_tool_with_logging(context: Context) -> str:
    for text in ["Tool execution started", "Tool processing data", "Tool execution completed"]:
        await context.info(text)
        await asyncio.sleep(PAUSE)
    return "logged"


@tool
async def test_tool_with_progress(context: Context) -> str:
    for progress in [0, 50, 100]:
        await context.report_progress(progress, 100)
        await asyncio.sleep(PAUSE)
    return "done"


@tool
async def test_sampling(prompt: str, context: Context) -> str:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    said = await context.session.create_message([message], max_tokens=100, related_request_id=context.request_id)
    return f"LLM response: {said.content}"


async def elicit(context: Context, message: str, properties: dict, required: list[str]) -> str:
    schema = {"type": "object", "properties": properties, "required": required}
    said = await context.session.elicit_form(message, schema, related_request_id=context.request_id)
    return f"Elicitation completed: action={said.action}, content={json.dumps(said.content)}"


@tool
async def test_elicitation(message: str, context: Context) -> str:
    text = {"type": "string", "description": "User's response"}
    return await elicit(context, message, {"username": text, "email": text}, ["username", "email"])


@tool
async def test_elicitation_sep1034_defaults(context: Context) -> str:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicit(context, "Please check", properties, [])


@tool
async def test_elicitation_sep1330_enums(context: Context) -> str:
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{i}", "title": f"Option {i}"} for i in (1, 2, 3)]
    legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    properties = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", **legacy},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicit(context, "Please choose", properties, [])


# What servers ask for in place of an answer (MCP 2026-07-28).


def ask(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def until(context: Context, needed: dict, state: str | None = None) -> str | InputRequiredResult:
    """The answer once everything needed is there."""
    given = context.input_responses or {}
    if needed.keys() <= given.keys() and context.request_state == state:
        return f"state-ok: {sorted(given)}"
    return InputRequiredResult(input_requests=needed, request_state=state)


@tool
async def test_input_required_result_elicitation(context: Context) -> str | InputRequiredResult:
    return until(context, {"user_name": ask("What is your name?", "name")})


@tool
async def test_input_required_result_sampling(context: Context) -> str | InputRequiredResult:
    return until(context, {"capital_question": sample("What is the capital of France?")})


@tool
async def test_input_required_result_list_roots(context: Context) -> str | InputRequiredResult:
    return until(context, {"client_roots": ListRootsRequest()})


@tool
async def test_input_required_result_request_state(context: Context) -> str | InputRequiredResult:
    return until(context, {"confirm": ask("Please confirm", "ok", "boolean")}, "state")


@tool
async def test_input_required_result_tampered_state(context: Context) -> str | InputRequiredResult:
    return until(context, {"confirm": ask("Please confirm", "ok", "boolean")}, "state")


@tool
async def test_input_required_result_multiple_inputs(context: Context) -> str | InputRequiredResult:
    name, greeting = ask("What is your name?", "name"), sample("Generate a greeting")
    return until(context, {"user_name": name, "greeting": greeting, "client_roots": ListRootsRequest()}, "state")


@tool
async def test_input_required_result_multi_round(context: Context) -> str | InputRequiredResult:
    if context.request_state is None:
        return until(context, {"step1": ask("Step 1: What is your name?", "name")}, "round 1")
    return until(context, {"step2": ask("Step 2: What is your favorite color?", "color")}, "round 2")


@prompt
async def test_input_required_result_prompt(context: Context) -> str | InputRequiredResult:
    return until(context, {"user_context": ask("What context should the prompt use?", "context")})


# Resources, prompts, completion.


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PIXEL)


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@prompt
def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


@prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    resource = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


@prompt
def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(IMAGE), UserMessage("Please analyze the image above.")]


@server.completion()
async def complete(ref: object, argument: object, context: object) -> Completion:
    return Completion(values=["paris", "park", "party"], total=3, has_more=False)


if __name__ == "__main__":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
