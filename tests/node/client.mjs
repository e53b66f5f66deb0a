// The official MCP client for TypeScript (`@modelcontextprotocol/client`) goes through a whole life with an MCP server:
// it discovers, registers, logs in, calls tools, refreshes, steps up, is revoked, finds itself refused and logs in anew.
//
//   node client.mjs URL [--mode legacy|auto] [--user ada] [--step-up-from SCOPE] [--python PATH]
//
// Prints one line of JSON with what happened; the exit status says whether all of it was right.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

import { logIn, narrow, revoke, settings, useTools } from './life.mjs';

const options = settings();

/** Where the client keeps its registration and tokens, and who sits in front of its browser. */
class User {
  redirectUrl = 'http://127.0.0.1:33419/callback';
  clientMetadata = {
    client_name: 'TypeScript client',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  logins = 0;
  #state;

  state = () => (this.#state = randomUUID());
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.saved;
  saveTokens = (tokens) => void (this.saved = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);
  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'client') this.client = undefined;
    if (scope === 'all' || scope === 'tokens') this.saved = undefined;
  }
  async redirectToAuthorization(url) {
    this.logins += 1;
    this.received = await logIn(options, url.href);
    assert.equal(this.received.get('state'), this.#state);
  }
}

const user = new User();
let transport;

/** What an application does: where the login is needed, it comes back with its answer and tries again. */
async function loggedIn(attempt) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(user.received);
    return attempt();
  }
}

let client;
await loggedIn(async () => {
  transport = new StreamableHTTPClientTransport(new URL(options.url), { authProvider: user });
  client = new Client(
    { name: 'portcullis-tests', version: '1' },
    { versionNegotiation: { mode: options.mode } },
  );
  await client.connect(transport);
});
const steps = { mode: options.mode };
const use = () => useTools(client, options.user);

steps.first_use = { ...(await use()), protocol: client.getNegotiatedProtocolVersion() };
assert.equal(user.logins, 1);
const first = user.saved;
steps.tokens = { scope: first.scope, expires_in: first.expires_in, iss: user.received.get('iss') };

// An access token that ends before its time: the client is told 401, and refreshes.
await revoke(options.url, user.client, first.access_token);
steps.after_refresh = await use();
assert.equal(user.logins, 1, 'the refresh needed a login');
assert.notEqual(user.saved.access_token, first.access_token);
assert.notEqual(user.saved.refresh_token, first.refresh_token);

let logins = 1;
const weak = options['step-up-from'];
if (weak) {
  user.saved = await narrow(options.url, user.client, user.saved.refresh_token, weak);
  steps.after_step_up = { ...(await loggedIn(use)), scope: user.saved.scope };
  logins += 1;
  assert.equal(user.logins, logins, 'the step-up is one login');
}

const { refresh_token, access_token } = user.saved;
steps.revoked = await revoke(options.url, user.client, refresh_token, access_token);
assert.equal(user.logins, logins);

steps.after_new_login = await loggedIn(use);
assert.equal(user.logins, logins + 1, 'a revoked session went on without a login');
await client.close();
console.log(JSON.stringify(steps));
