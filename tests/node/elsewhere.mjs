// What pages of other origins can make a user's Chromium do here.
//
//   node elsewhere.mjs --url AUTHORIZE_URL --redirect-uri http://localhost:PORT/callback --origin ORIGIN
//
// The user logs in to the client and to the account page. Then there are two other pages, one of another site
// (127.0.0.1) and one of the same site but another origin (the redirect URI's port): each frames the pages of ORIGIN, sends their forms with all the
// values that the real ones have, and links to the client's authorization request. Prints one line of JSON.

import http from 'node:http';
import { parseArgs, stripVTControlCharacters } from 'node:util';

import { launch } from './chromium.mjs';

const { values: options } = parseArgs({
  options: { url: { type: 'string' }, 'redirect-uri': { type: 'string' }, origin: { type: 'string' } },
});
const DEADLINE = 20_000;
const account = `${options.origin}/account`;
const logOut = 'form[action="/account/logout"] button';

const escape = (text) => text.replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`);

/** Serves whatever page it holds at the moment; counts what arrives at the redirect URI. */
function serve(hostname, port) {
  const state = { page: '', callbacks: 0 };
  const server = http.createServer((request, response) => {
    if (request.url.startsWith('/callback')) state.callbacks += 1;
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,"><div id="elsewhere">${state.page}</div>`);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, hostname, () => {
      state.url = `http://${hostname}:${server.address().port}/`;
      state.close = () => server.close();
      resolve(state);
    });
  });
}

const hidden = (tab) => tab.$$eval('input[type=hidden]', (fields) => fields.map((field) => [field.name, field.value]));

async function frame(tab, site, url) {
  const errors = [];
  const listen = (message) => { if (message.type() === 'error') errors.push(message.text()); };
  tab.on('console', listen);
  site.page = `<iframe src="${escape(url)}"></iframe>`;
  await tab.goto(site.url, { waitUntil: 'load' });
  const framed = tab.frames().find((one) => one.parentFrame());
  const shown = await framed.$$eval('form, button, a', (found) => found.length).catch(() => 0);
  tab.off('console', listen);
  return { shown, refused: errors.some((text) => /frame-ancestors|X-Frame-Options/.test(text)) };
}

async function post(tab, site, path, fields) {
  const inputs = fields.map(([name, value]) => `<input name="${escape(name)}" value="${escape(value)}">`);
  const target = `${options.origin}${path}`;
  site.page = `<form method="post" action="${escape(target)}">${inputs.join('')}<button>Win a prize</button></form>`;
  await tab.goto(site.url);
  const sent = tab.waitForResponse((response) => response.url() === target);
  await tab.click('button');
  const response = await sent;
  const headers = await response.request().allHeaders();
  return { status: response.status(), site: headers['sec-fetch-site'], cookie: Boolean(headers.cookie) };
}

async function follow(tab, site) {
  site.page = `<a href="${escape(options.url)}">Win a prize</a>`;
  await tab.goto(site.url);
  await tab.click('a');
  await tab.waitForSelector('button[name=decision], #elsewhere:has-text("Back"), #elsewhere:not(:has(a))');
  return { asked: Boolean(await tab.$('button[name=decision]')) };
}

async function logIn(tab) {
  await tab.waitForSelector('button[name=user]');
  await tab.click('button[name=user][value=ada]');
}

async function main() {
  const { port } = new URL(options['redirect-uri']);
  const own = await serve('localhost', Number(port));
  const sites = { 'cross-site': await serve('127.0.0.1', 0), 'same-site': own };
  const browser = await launch();
  const result = { frames: {}, posts: {}, links: {} };
  try {
    const tab = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    tab.setDefaultTimeout(DEADLINE);
    await tab.goto(options.url);
    const consent = await hidden(tab);
    await tab.click('button[name=decision][value=approve]');
    await logIn(tab);
    await tab.waitForSelector('#elsewhere', { state: 'attached' });
    await tab.goto(account);
    const login = await hidden(tab);
    await tab.click('button[name=provider]');
    await logIn(tab);
    await tab.waitForSelector(logOut);
    const forms = await tab.$eval('form[action="/account/disconnect"]', (form) =>
      [...form.querySelectorAll('input')].map((field) => [field.name, field.value]));
    result.connected = await tab.$$eval('form[action="/account/disconnect"]', (found) => found.length);

    for (const [name, site] of Object.entries(sites)) {
      result.frames[name] = { consent: await frame(tab, site, options.url), account: await frame(tab, site, account) };
      result.posts[name] = {
        consent: await post(tab, site, '/consent', [...consent, ['decision', 'approve']]),
        login: await post(tab, site, '/account/login', [...login, ['provider', 'corp']]),
        disconnect: await post(tab, site, '/account/disconnect', forms),
        remove: await post(tab, site, '/account/remove', [...forms, ['server', 'demo']]),
        logout: await post(tab, site, '/account/logout', forms),
      };
      result.links[name] = await follow(tab, site);
    }
    await tab.goto(account);
    result.loggedIn = Boolean(await tab.$(logOut));
    result.stillConnected = await tab.$$eval('form[action="/account/disconnect"]', (found) => found.length);
    result.callbacks = own.callbacks;
    return result;
  } catch (error) {
    return { ...result, problem: stripVTControlCharacters(error.message) };
  } finally {
    await browser.close();
    Object.values(sites).forEach((site) => site.close());
  }
}

const result = await main();
console.log(JSON.stringify(result));
process.exit(result.problem ? 1 : 0);
