// Chromium: $PORTCULLIS_CHROMIUM, or an installed one.

import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

function chromiumPath() {
  const candidates = [process.env.PORTCULLIS_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];
  const found = candidates.find((candidate) => candidate && existsSync(candidate));
  if (!found) throw new Error('no Chromium found: install it, or name it in PORTCULLIS_CHROMIUM');
  return found;
}

/** A browser without a window. */
export const launch = () => chromium.launch({
  executablePath: chromiumPath(),
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
