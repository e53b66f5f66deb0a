"""A browser without a screen: it keeps cookies, fills in forms and follows pages to a redirect URI."""

import argparse
import asyncio
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

STEPS = 20  # more than any honest login has
ATTEMPTS = 5  # more at a redirect URI where nobody listens yet: 7.5 s
SERVER = "demo"  # which one is meant, where that is asked


class LoginFailed(Exception):
    """The login led nowhere."""


@dataclass
class Page(HTMLParser):
    """What matters of a page: its first form, and where it leads by itself."""

    action: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    choices: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    leads_to: str | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "meta" and (values.get("http-equiv") or "").lower() == "refresh":
            self.leads_to = (values.get("content") or "").partition("url=")[2]
        elif tag == "form":
            self.action = values.get("action") or ""
        elif tag == "input" and values.get("type") == "radio":
            self.choices.append((values["name"], values["value"]))
        elif tag == "input" and values.get("name"):
            self.fields[values["name"]] = values.get("value") or ""
        elif tag == "button" and values.get("name"):
            self.buttons.append((values["name"], values.get("value") or ""))


def answer(page: Page, user: str, decision: str) -> dict[str, str]:
    """What the user enters, and the button that they press."""
    filled = dict(page.fields)
    if "login" in filled:
        filled |= {"login": user, "password": "any"}
    if ("server", SERVER) in page.choices:
        filled["server"] = SERVER
    for button in [("decision", decision), ("user", user)]:
        if button in page.buttons:
            filled |= [button]
    if decision == "approve" and ("decision", "choose") in page.buttons:
        filled["decision"] = "choose"
    return filled


async def authorize(url: str, redirect_uri: str, user: str, decision: str = "approve") -> dict[str, str]:
    """Goes through the pages behind `url`; returns what the redirect URI receives."""
    async with httpx2.AsyncClient(timeout=30) as browser:
        response = await browser.get(url)
        for _ in range(STEPS):
            location = response.headers.get("location")
            page = Page()
            if location is None:
                page.feed(response.text)
                location = page.leads_to
            if location is not None:
                url = urljoin(str(response.url), location)
                if url.startswith(redirect_uri):
                    return dict(parse_qsl(urlsplit(url).query))
                response = await browser.get(url)
            elif page.action is not None:
                form = answer(page, user, decision)
                response = await browser.post(urljoin(str(response.url), page.action), data=form)
            else:
                raise LoginFailed(f"{response.status_code} at {response.url.copy_with(query=None)}")
    raise LoginFailed("the login goes in circles")


def deliver(redirect_uri: str, received: dict[str, str]) -> None:
    """Fetches the redirect URI. mcp-remote opens the browser before it listens there: a user takes longer than that."""
    with httpx2.Client(timeout=30, transport=httpx2.HTTPTransport(retries=ATTEMPTS)) as browser:
        browser.get(redirect_uri, params=received).raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(description="Goes through one authorization; prints what the client is told.")
    parser.add_argument("url", help="the authorization request")
    parser.add_argument("--user", default="ada")
    parser.add_argument("--deliver", action="store_true", help="also fetch the redirect URI, as a browser does")
    arguments = parser.parse_args()
    redirect_uri = dict(parse_qsl(urlsplit(arguments.url).query))["redirect_uri"]
    received = asyncio.run(authorize(arguments.url, redirect_uri, arguments.user))
    if arguments.deliver:
        deliver(redirect_uri, received)
    print(json.dumps(received))


if __name__ == "__main__":
    main()
