// GitHub or Google as emulate (https://emulate.dev) knows them, for the end-to-end tests. The user chooses one of the
// accounts by a click.

import { parseArgs } from 'node:util';

import { createEmulator } from 'emulate';

const { values: options } = parseArgs({
  options: {
    service: { type: 'string' },
    port: { type: 'string' },
    'redirect-uri': { type: 'string' },
  },
});

const app = {
  client_id: 'portcullis',
  client_secret: 'demo-secret',
  name: 'Portcullis',
  redirect_uris: [options['redirect-uri']],
};
const seed = {
  github: {
    users: [
      { login: 'ada', name: 'Ada', email: 'ada@example.com' },
      { login: 'eve', name: 'Eve', email: 'eve@gmail.com' },
    ],
    oauth_apps: [app],
  },
  google: {
    users: [
      { email: 'ada@example.com', name: 'Ada', hd: 'example.com' },
      { email: 'eve@gmail.com', name: 'Eve' },
    ],
    oauth_clients: [app],
  },
};

const { service } = options;
const emulator = await createEmulator({
  service,
  port: Number(options.port),
  seed: { [service]: seed[service] },
});
console.log(JSON.stringify({ ready: emulator.url }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
