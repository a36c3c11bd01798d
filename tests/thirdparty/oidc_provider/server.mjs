// FranceConnect v2 on oidc-provider: the routes, scopes, lifetimes and features that a partner meets, from the
// configuration FranceConnect publishes (france-connect/sources, core-fcp-low), and the two checks that it makes in
// front of the library. The registered clients and the people come from the JSON file named on the command line; the
// issuer leaves as the one line of standard output. A session spares a second login, which tests look at after logout.

import { createHash, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import Provider from 'oidc-provider';

const PREFIX = '/api/v2';
const AUTHORIZE = ['response_type', 'client_id', 'redirect_uri', 'acr_values', 'scope', 'state', 'nonce', 'claims', 'prompt'];
const SHORTEST = 22;

const { clients, people } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

function privateJwk(kind, options, alg) {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg };
}

function configuration() {
  return {
    clients: clients.map((client) => ({
      application_type: 'web',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      subject_type: 'pairwise',
      token_endpoint_auth_method: 'client_secret_post',
      ...client,
    })),
    jwks: { keys: [privateJwk('ec', { namedCurve: 'P-256' }, 'ES256'), privateJwk('rsa', { modulusLength: 2048 }, 'RS256')] },
    cookies: { keys: ['a key of this test'], long: { sameSite: 'lax', signed: true }, short: { sameSite: 'lax', signed: true } },
    routes: { authorization: '/authorize', token: '/token', userinfo: '/userinfo', jwks: '/jwks', end_session: '/session/end' },
    features: {
      devInteractions: { enabled: false },
      jwtUserinfo: { enabled: true },
      pushedAuthorizationRequests: { enabled: false },
      dPoP: { enabled: false },
      claimsParameter: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
    ttl: { AccessToken: 60, AuthorizationCode: 30, Grant: 30, IdToken: 60, Interaction: 600, Session: 600 },
    acrValues: ['eidas1'],
    scopes: ['openid'],
    claims: {
      openid: ['sub'],
      gender: ['gender'],
      birthdate: ['birthdate'],
      birthcountry: ['birthcountry'],
      birthplace: ['birthplace'],
      given_name: ['given_name', 'given_name_array'],
      family_name: ['family_name'],
      preferred_username: ['preferred_username'],
    },
    responseTypes: ['code'],
    subjectTypes: ['pairwise'],
    clientAuthMethods: ['client_secret_post'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256', 'HS256'], userinfoSigningAlgValues: ['ES256', 'RS256'] },
    pkce: { required: () => false },
    pairwiseIdentifier: (_, account, client) =>
      `${createHash('sha256').update(`${client.clientId}\n${account}`).digest('hex')}v1`,
    interactions: { url: (_, { uid }) => `${PREFIX}/interaction/${uid}` },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  };
}

// FranceConnect's closed list of parameters, and the hint without which it ends no session.
function fault({ pathname, searchParams }) {
  if (pathname === `${PREFIX}/authorize`) {
    const unlisted = [...searchParams.keys()].find((name) => !AUTHORIZE.includes(name));
    if (unlisted) return `parameter not listed: ${unlisted}`;
    return ['state', 'nonce'].find((name) => (searchParams.get(name) ?? '').length < SHORTEST);
  }
  return pathname === `${PREFIX}/session/end` && !searchParams.get('id_token_hint') ? 'id_token_hint' : undefined;
}

// Its login page: who logs in is who the form names; logging in is agreeing to every claim that was asked for.
async function interaction(provider, request, response) {
  const { params } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8').end(Object.keys(people).join('\n'));
    return;
  }
  const accountId = new URLSearchParams(await text(request)).get('person');
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const result = { login: { accountId, acr: 'eidas1', amr: ['pwd'] }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(`${origin}${PREFIX}`, configuration());
  const answer = provider.callback();
  server.on('request', (request, response) => {
    const url = new URL(request.url, origin);
    const reason = fault(url);
    if (reason) {
      response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`Y000400 ${reason}`);
    } else if (url.pathname.startsWith(`${PREFIX}/interaction/`)) {
      interaction(provider, request, response).catch((error) => response.writeHead(400).end(error.name));
    } else {
      request.originalUrl = request.url;
      request.url = request.url.slice(PREFIX.length) || '/';
      answer(request, response);
    }
  });
  process.stdout.write(`${provider.issuer}\n`);
});
