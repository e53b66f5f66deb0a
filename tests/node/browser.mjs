// Chromium goes through one authorization, as a user would.
//
//   node browser.mjs --url AUTHORIZE_URL --redirect-uri http://localhost:PORT/callback
//        [--decision approve|deny] [--user ada] [--token TOKEN] [--server NAME] [--account ACCOUNT_URL]
//        [--width PIXELS] [--screenshots DIRECTORY]
//
// With --account, goes to the account page afterwards, replaces the user's token there by TOKEN and logs out.
//
// Prints one line of JSON: what the redirect URI received, and the pages on the way. Fails on any console
// error or Content-Security-Policy violation, and where a page is wider than the window.

import { mkdirSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';

import { launch } from './chromium.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    'redirect-uri': { type: 'string' },
    decision: { type: 'string', default: 'approve' },
    user: { type: 'string', default: 'ada' },
    token: { type: 'string', default: '' },
    server: { type: 'string', default: '' },
    width: { type: 'string', default: '1000' },
    account: { type: 'string' },
    screenshots: { type: 'string' },
  },
});
const DEADLINE = 20_000;
const PAGES = 10; // more than any honest login has

// What each kind of page wants from its user, in the order of asking.
const answers = [
  {
    page: 'user-token',
    shown: 'input[name=token]',
    answer: async (tab) => {
      await tab.fill('input[name=token]', options.token);
      await tab.click(`button[name=decision][value=${options.decision}]`);
    },
  },
  {
    page: 'account-login',
    shown: 'button[name=provider]',
    answer: (tab) => tab.click('button[name=provider]'),
  },
  {
    page: 'server-choice',
    shown: 'input[type=radio]',
    answer: async (tab) => {
      // Without a choice the form is not sent.
      await tab.click('button[name=decision][value=choose]');
      await tab.waitForSelector('input[type=radio]:focus');
      await tab.click(`input[type=radio][value=${options.server}]`);
      await tab.click('button[name=decision][value=choose]');
      await tab.waitForSelector('button[name=decision][value=approve]');
    },
  },
  {
    page: 'consent',
    shown: 'button[name=decision]',
    answer: (tab) => tab.click(`button[name=decision][value=${options.decision}]`),
  },
  {
    page: 'demo-login',
    shown: 'button[name=user]',
    answer: (tab) => tab.click(`button[name=user][value=${options.user}]`),
  },
  {
    page: 'provider-login',
    shown: 'input[name=login]',
    answer: async (tab) => {
      await tab.fill('input[name=login]', options.user);
      await tab.fill('input[name=password]', 'any');
      await tab.click('button[type=submit]');
    },
  },
  {
    page: 'provider-consent',
    shown: 'form:has(input[name=prompt][value=consent]) button',
    answer: (tab) => tab.click('button[type=submit]'),
  },
];
const anyForm = answers.map(({ shown }) => shown).join(', ');

/** Resolves with the query that arrives at the redirect URI. */
function listen(redirectUri) {
  const { port, pathname, hostname } = new URL(redirectUri);
  let arrived;
  const callback = new Promise((resolve) => { arrived = resolve; });
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, redirectUri);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end('<!doctype html><title>Done</title><link rel="icon" href="data:,"><p id="done">Done.');
    if (url.pathname === pathname) arrived(Object.fromEntries(url.searchParams));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port), hostname, () => resolve({ callback, close: () => server.close() }));
  });
}

async function main() {
  const listener = await listen(options['redirect-uri']);
  const browser = await launch();
  const problems = [];
  const pages = [];
  try {
    const context = await browser.newContext({ viewport: { width: Number(options.width), height: 800 } });
    const tab = await context.newPage();
    tab.setDefaultTimeout(DEADLINE);
    // Chromium reports violations of the Content-Security-Policy as console errors too.
    tab.on('console', (message) => {
      if (message.type() === 'error') problems.push(`console: ${message.text()}`);
    });
    tab.on('pageerror', (error) => problems.push(`script: ${error.message}`));
    const screenshot = async (name) => {
      pages.push(name);
      const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (overflow > 0) problems.push(`${name} is ${overflow} pixels too wide`);
      if (!options.screenshots) return;
      mkdirSync(options.screenshots, { recursive: true });
      const file = `${String(pages.length).padStart(2, '0')}-${name}.png`;
      await tab.screenshot({ path: path.join(options.screenshots, file), fullPage: true });
    };

    /** Answers page after page, until there is one with `end` on it. */
    const goOn = async (end) => {
      for (let count = 0; count < PAGES; count += 1) {
        // Between two forms there may be pages that lead on by themselves.
        await tab.waitForSelector(`${anyForm}, ${end}`);
        if (await tab.$(end)) break;
        const visible = await Promise.all(answers.map(({ shown }) => tab.$(shown)));
        const { page, answer } = answers[visible.findIndex(Boolean)];
        await screenshot(page);
        const before = tab.url();
        const left = tab.waitForURL((url) => url.href !== before, { waitUntil: 'commit' });
        await answer(tab);
        await left;
      }
    };

    await tab.goto(options.url);
    await goOn('#done');
    await screenshot('done');
    if (options.account) {
      const logOut = 'form[action="/account/logout"] button';
      await tab.goto(options.account);
      await goOn(logOut);
      await screenshot('account');
      await tab.click('form[action="/account/replace"] button');
      await tab.waitForSelector('input[name=token]');
      await goOn(logOut);
      await screenshot('account');
      await tab.click(logOut);
      await tab.waitForSelector('button[name=provider]');
      await screenshot('account-login');
    }
    return { callback: await listener.callback, pages, problems };
  } catch (error) {
    problems.push(stripVTControlCharacters(error.message));
    return { pages, problems };
  } finally {
    await browser.close();
    listener.close();
  }
}

const result = await main();
console.log(JSON.stringify(result));
process.exit(result.problems.length === 0 ? 0 : 1);
