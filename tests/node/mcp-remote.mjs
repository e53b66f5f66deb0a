// A program that knows MCP over standard input and output only, and `mcp-remote` between it and the MCP server.
// mcp-remote discovers, registers, opens the user's browser, calls, refreshes, steps up, is revoked and opens it again.
//
//   node mcp-remote.mjs URL [--mode legacy|auto] [--user ada] [--step-up-from SCOPE] [--python PATH]
//
// Prints one line of JSON with what happened; the exit status says whether all of it was right.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

import { narrow, revoke, settings, useTools } from './life.mjs';

const PROGRAM = fileURLToPath(new URL('node_modules/mcp-remote/dist/proxy.js', import.meta.url));
const options = settings();
const home = mkdtempSync(path.join(tmpdir(), 'mcp-remote-'));

/** A browser that needs no screen: it logs the user in, shows mcp-remote what came of it, and counts. */
const opened = path.join(home, 'opened');
const browser = path.join(home, 'browser');
const command = options.browser.map((word) => `'${word}'`).join(' ');
writeFileSync(opened, '');
writeFileSync(browser, `#!/bin/sh\necho "$1" >>'${opened}'\nexec ${command} --deliver "$1"\n`);
chmodSync(browser, 0o755);
const logins = () => readFileSync(opened, 'utf8').split('\n').length - 1;

/** Where mcp-remote stores something, and what. */
function storage(name) {
  const directory = path.join(home, 'mcp-remote-v1');
  return path.join(directory, readdirSync(directory).find((file) => file.endsWith(`_${name}.json`)));
}
const stored = (name) => JSON.parse(readFileSync(storage(name), 'utf8'));

/** mcp-remote derives the port of its callback from the server's URL: beside another one it would wait for that one's. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return String(port);
}

const client = new Client({ name: 'portcullis-tests', version: '1' });
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [PROGRAM, options.url, await freePort(), '--protocol', options.mode, '--transport', 'http-only'],
  env: { PATH: process.env.PATH, HOME: home, MCP_REMOTE_CONFIG_DIR: home, BROWSER: browser },
  stderr: 'pipe',
});
let log = '';
transport.stderr?.on('data', (text) => (log += text));
const steps = { mode: options.mode };
const use = () => useTools(client, options.user);

try {
  await client.connect(transport);
  steps.first_use = { ...(await use()), protocol: client.getNegotiatedProtocolVersion() };
  assert.equal(logins(), 1);
  const first = stored('tokens');
  steps.tokens = { scope: first.scope, expires_in: first.expires_in };

  // An access token that ends before its time: mcp-remote is told 401, and refreshes.
  await revoke(options.url, stored('client_info'), first.access_token);
  steps.after_refresh = await use();
  const second = stored('tokens');
  assert.equal(logins(), 1, 'the refresh needed a login');
  assert.notEqual(second.access_token, first.access_token);
  assert.notEqual(second.refresh_token, first.refresh_token);

  let expected = 1;
  const weak = options['step-up-from'];
  if (weak) {
    const tokens = await narrow(options.url, stored('client_info'), second.refresh_token, weak);
    writeFileSync(storage('tokens'), JSON.stringify({ ...second, ...tokens }));
    steps.after_step_up = { ...(await use()), scope: stored('tokens').scope };
    expected += 1;
    assert.equal(logins(), expected, 'the step-up is one login');
  }

  const last = stored('tokens');
  steps.revoked = await revoke(options.url, stored('client_info'), last.refresh_token, last.access_token);
  steps.after_new_login = await use();
  // Now and then mcp-remote opens the browser twice, where two of its requests are refused at once.
  assert.ok(logins() > expected, 'a revoked session went on without a login');
} catch (error) {
  console.error(log);
  throw error;
} finally {
  await client.close();
  rmSync(home, { recursive: true, force: true });
}
console.log(JSON.stringify(steps));
