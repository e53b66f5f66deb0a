// What every client of the matrix does with the MCP server, whichever way it has come to its token.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const REVOCATION_DEADLINE = 5_000;
const TIMEOUT = 30_000;
const run = promisify(execFile);

/** URL, --mode, --user, --step-up-from, and --python: the interpreter for the headless browser. */
export function settings() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      mode: { type: 'string', default: 'legacy' },
      user: { type: 'string', default: 'ada' },
      'step-up-from': { type: 'string' },
      python: { type: 'string', default: 'python3' },
    },
  });
  return { ...values, url: positionals[0], browser: [values.python, HEADLESS, '--user', values.user] };
}

const HEADLESS = fileURLToPath(new URL('../python/headless.py', import.meta.url));

/** The user goes through the pages behind an authorization URL; resolves with what the client is told. */
export async function logIn({ browser: [python, ...rest] }, url) {
  const { stdout } = await run(python, [...rest, url], { timeout: TIMEOUT });
  return new URLSearchParams(JSON.parse(stdout));
}

/** Every tool, called once; resolves with what the MCP server is told about the user. */
export async function useTools(client, user) {
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['echo', 'whoami']);
  const said = await client.callTool({ name: 'echo', arguments: { text: 'käse' } });
  assert.equal(said.content[0].text, 'käse');
  const { structuredContent: whoami, isError } = await client.callTool({ name: 'whoami', arguments: {} });
  assert(!isError);
  assert(Object.values(whoami.identity).includes(user), JSON.stringify(whoami));
  assert.equal(whoami.credential.scheme, 'Bearer');
  assert.equal(whoami.credential.is_proxy_token, false);
  return { whoami };
}

/** Tokens with fewer scopes (RFC 6749 section 6). */
export async function narrow(url, client, refreshToken, scope) {
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, scope, client_id: client.client_id };
  if (client.client_secret) form.client_secret = client.client_secret;
  const answer = await fetch(new URL('/token', url), { method: 'POST', body: new URLSearchParams(form) });
  assert.equal(answer.status, 200);
  const tokens = await answer.json();
  assert.equal(tokens.scope, scope);
  return tokens;
}

/** RFC 7009, and waits until the edge refuses the access token. */
export async function revoke(url, client, token, access = token) {
  const body = new URLSearchParams({ token, client_id: client.client_id });
  if (client.client_secret) body.set('client_secret', client.client_secret);
  const answer = await fetch(new URL('/revoke', url), { method: 'POST', body });
  assert.equal(answer.status, 200);
  const started = Date.now();
  const headers = {
    authorization: `Bearer ${access}`,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
  };
  const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
  for (;;) {
    const refused = await fetch(url, { method: 'POST', headers, body: ping });
    const challenge = refused.headers.get('www-authenticate') ?? '';
    if (refused.status === 401) {
      assert(challenge.includes('invalid_token'), challenge);
      return { challenge, after_ms: Date.now() - started };
    }
    assert(Date.now() - started < REVOCATION_DEADLINE, `still ${refused.status}`);
    await new Promise((wait) => setTimeout(wait, 20));
  }
}
