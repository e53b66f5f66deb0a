// A page in Chromium calls an MCP server of another origin.
//
//   node cross-origin.mjs --origin http://127.0.0.1:PORT --url MCP_URL --headers JSON
//
// Prints one line of JSON: the status and the challenge, as far as the page may see them, or the error's name.

import http from 'node:http';
import { parseArgs } from 'node:util';

import { launch } from './chromium.mjs';

const { values: options } = parseArgs({
  options: { origin: { type: 'string' }, url: { type: 'string' }, headers: { type: 'string' } },
});

const page = http.createServer((_, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end('<!doctype html><title>A client</title><link rel="icon" href="data:,">');
});
const { hostname, port } = new URL(options.origin);
await new Promise((resolve) => page.listen(Number(port), hostname, resolve));
const browser = await launch();
try {
  const tab = await browser.newPage();
  await tab.goto(options.origin);
  const call = async ({ url, headers }) => {
    try {
      const answer = await fetch(url, { method: 'POST', headers, body: '{}' });
      return { status: answer.status, challenge: answer.headers.get('www-authenticate') };
    } catch (error) {
      return { error: error.name };
    }
  };
  const seen = await tab.evaluate(call, { url: options.url, headers: JSON.parse(options.headers) });
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
  page.close();
}
