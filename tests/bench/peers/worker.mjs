// An OAuth edge as its users write it with @cloudflare/workers-oauth-provider: bearer tokens are checked, the
// provider's token is put in their place, and the request goes on to the backend.

import { OAuthProvider } from "./oauth-provider.js";

const CLIENT = { client_id: "portcullis", client_secret: "demo-secret" };

const api = {
  fetch(request, env, ctx) {
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${ctx.props.upstream}`);
    headers.set("x-user", ctx.props.user);
    const { pathname, search } = new URL(request.url);
    return fetch(env.BACKEND + pathname + search, { method: request.method, headers, body: request.body });
  },
};

const pages = {
  async fetch(request, env) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/authorize":
        return authorize(request, env);
      case "/callback":
        return callback(url.searchParams, env);
      case "/healthz":
        return new Response("ok");
      default:
        return new Response(null, { status: 404 });
    }
  },
};

async function authorize(request, env) {
  const verifier = crypto.randomUUID() + crypto.randomUUID();
  const login = { request: await env.OAUTH_PROVIDER.parseAuthRequest(request), verifier };
  const state = crypto.randomUUID();
  await env.OAUTH_KV.put(`login:${state}`, JSON.stringify(login));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const query = new URLSearchParams({
    response_type: "code",
    client_id: CLIENT.client_id,
    redirect_uri: `${env.ORIGIN}/callback`,
    scope: "openid email offline_access",
    state,
    code_challenge: new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true }),
    code_challenge_method: "S256",
  });
  return Response.redirect(`${env.PROVIDER}/authorize?${query}`, 302);
}

async function callback(query, env) {
  const login = await env.OAUTH_KV.get(`login:${query.get("state")}`, { type: "json" });
  const body = new URLSearchParams({
    ...CLIENT,
    grant_type: "authorization_code",
    code: query.get("code"),
    redirect_uri: `${env.ORIGIN}/callback`,
    code_verifier: login.verifier,
  });
  const tokens = await (await fetch(`${env.PROVIDER}/token`, { method: "POST", body })).json();
  const { redirectTo } = await env.OAUTH_PROVIDER.completeAuthorization({
    request: login.request,
    userId: "ada",
    metadata: {},
    scope: login.request.scope,
    props: { upstream: tokens.access_token, user: "ada" },
  });
  return Response.redirect(redirectTo, 302);
}

// What the library asks of a namespace to log in and to check a token, in this worker's memory.
const rows = new Map();
const memory = {
  async get(key, { type } = {}) {
    const row = rows.get(key) ?? null;
    return type === "json" ? JSON.parse(row) : row;
  },
  async put(key, value) {
    rows.set(key, value);
  },
  async delete(key) {
    rows.delete(key);
  },
  async list({ prefix }) {
    const keys = [...rows.keys()].filter((key) => key.startsWith(prefix)).map((name) => ({ name }));
    return { keys, list_complete: true };
  },
};

let provider;

export default {
  fetch(request, env, ctx) {
    provider ??= new OAuthProvider({
      apiRoute: "/mcp",
      apiHandler: api,
      defaultHandler: pages,
      authorizeEndpoint: "/authorize",
      tokenEndpoint: "/token",
      clientRegistrationEndpoint: "/register",
      scopesSupported: ["openid", "offline_access"],
      requiredScopes: ["openid"],
      resourceMetadata: { resource: `${env.ORIGIN}/mcp`, authorization_servers: [env.ORIGIN] },
    });
    const OAUTH_KV = env.TOKENS === "map" ? memory : env.OAUTH_KV;
    return provider.fetch(request, { ...env, OAUTH_KV }, ctx);
  },
};
