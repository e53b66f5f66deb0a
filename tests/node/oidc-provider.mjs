// A certified OpenID provider (oidc-provider) with a login and a consent form, for the end-to-end tests.
// Any login name is accepted; `sub` is the name, `email` is name@example.com. With an initial access token, clients
// register (RFC 7591); with `documents`, they have their metadata fetched. /seen tells which have, and which have been
// given tokens.

import http from 'node:http';
import { parseArgs } from 'node:util';

import Provider, { errors } from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    'client-id': { type: 'string', default: 'portcullis' },
    'client-secret': { type: 'string', default: 'demo-secret' },
    'redirect-uri': { type: 'string', multiple: true },
    'access-token-seconds': { type: 'string', default: '3600' },
    'initial-access-token': { type: 'string' },
    documents: { type: 'boolean', default: false },
  },
});
const issuer = `http://localhost:${options.port}`;
const BODY_LIMIT = 16 * 1024;

const initialAccessToken = options['initial-access-token'];
const app = {
  client_id: options['client-id'],
  client_secret: options['client-secret'],
  redirect_uris: options['redirect-uri'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
};

const provider = new Provider(issuer, {
  clients: initialAccessToken || options.documents ? [] : [app],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false, // `email` in the ID token, not at the userinfo endpoint only
  clientDefaults: { id_token_signed_response_alg: 'RS256' },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: Boolean(initialAccessToken), initialAccessToken: initialAccessToken ?? false },
    registrationManagement: { enabled: Boolean(initialAccessToken) },
    clientIdMetadataDocument: { enabled: options.documents, ack: 'draft-02' },
  },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  // Its own refuses to go to this machine.
  fetch: (url, { dispatcher, ...init }) => fetch(url, init),
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: Number(options['access-token-seconds']) },
});

const seen = { registered: [], given: [] };
provider.on('registration_create.success', (_context, client) => {
  seen.registered.push({ client_id: client.clientId, client_name: client.clientName });
});
provider.on('grant.success', (context) => {
  const { clientId, clientName } = context.oidc.client;
  seen.given.push({ client_id: clientId, client_name: clientName, grant_type: context.oidc.params.grant_type });
});

const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function page(title, action, body) {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<link rel="icon" href="data:,"></head><body><h1>${title}</h1>
<form method="post" action="${escape(action)}">${body}</form></body></html>`;
}

function form({ uid, prompt, params }) {
  const action = `/interaction/${uid}`;
  if (prompt.name === 'login') {
    return page('Sign in', action, `<input type="hidden" name="prompt" value="login">
<label>Name <input name="login" required autofocus></label>
<label>Password <input name="password" type="password" required></label>
<button type="submit">Sign in</button>`);
  }
  return page('Allow access', action, `<input type="hidden" name="prompt" value="consent">
<p>${escape(params.client_id)} asks for ${escape(params.scope)}</p>
<button type="submit">Continue</button>`);
}

async function body(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new errors.InvalidRequest('body too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

async function consent({ grantId, session, params, prompt: { details } }) {
  const grant =
    (grantId && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
}

async function interact(request, response) {
  const interaction = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.setHeader('cache-control', 'no-store');
    response.end(form(interaction));
    return;
  }
  const answers = await body(request);
  const result =
    interaction.prompt.name === 'login'
      ? { login: { accountId: answers.get('login') } }
      : await consent(interaction);
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

const handle = provider.callback();
const server = http.createServer((request, response) => {
  if (request.url === '/seen') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(seen));
    return;
  }
  if (!request.url.startsWith('/interaction/')) {
    handle(request, response);
    return;
  }
  interact(request, response).catch((error) => {
    response.statusCode = error.statusCode ?? 500;
    response.end(error.message);
  });
});

server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(JSON.stringify({ ready: issuer }));
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
