// An application of a collectivité on oauth4webapi, unmodified: reads what it is told from standard input, a JSON
// object a line, and answers each with one. Nothing in it knows Accord but the URL.
import * as oauth from 'oauth4webapi'
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const told = async () => JSON.parse((await lines.next()).value)
const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')

const world = await told()
const issuer = new URL(world.issuer)
const open = { [oauth.allowInsecureRequests]: true }
const client = { client_id: world.client_id }
const key = await crypto.subtle.importKey('jwk', world.jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const auth = oauth.PrivateKeyJwt({ key, kid: world.jwk.kid })

const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...open })
const as = await oauth.processDiscoveryResponse(issuer, discovered)
const pair = await oauth.generateKeyPair('ES256')
const DPoP = oauth.DPoP(client, pair)
const bound = { DPoP, ...open }

// oauth4webapi asks once more when a fresh DPoP nonce is wanted, as its examples do.
async function withNonce(call) {
  try {
    return await call()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return await call()
  }
}

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const parameters = {
  response_type: 'code',
  redirect_uri: world.redirect_uri,
  state,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  authorization_details: JSON.stringify(world.authorization_details),
}
const pushed = await withNonce(async () =>
  oauth.processPushedAuthorizationResponse(
    as, client, await oauth.pushedAuthorizationRequest(as, client, auth, parameters, bound)))
const authorize = new URL(as.authorization_endpoint)
authorize.searchParams.set('client_id', client.client_id)
authorize.searchParams.set('request_uri', pushed.request_uri)
say({ authorize: authorize.href })

const callback = oauth.validateAuthResponse(as, client, new URL((await told()).callback), state)
const tokens = await withNonce(async () =>
  oauth.processAuthorizationCodeResponse(
    as, client,
    await oauth.authorizationCodeGrantRequest(as, client, auth, callback, world.redirect_uri, verifier, bound)))

const data = new URL(world.data, issuer)

async function exchange(token) {
  let sent
  const customFetch = (url, options) => {
    sent = new Request(url, { headers: options.headers })
    return fetch(url, options)
  }
  const answer = await withNonce(() =>
    oauth.protectedResourceRequest(token, 'GET', data, undefined, undefined,
      { DPoP, [oauth.customFetch]: customFetch, ...open }))
  return { sent, status: answer.status, body: await answer.json() }
}

const first = await exchange(tokens.access_token)
const claims = await oauth.validateJwtAccessToken(as, first.sent, issuer.href.replace(/\/$/, ''),
  { requireDPoP: true, signingAlgorithms: ['ES256'], ...open })

const introspect = async (requestJwtResponse) =>
  oauth.processIntrospectionResponse(
    as, { ...client, introspection_signed_response_alg: requestJwtResponse ? 'ES256' : undefined },
    await oauth.introspectionRequest(as, client, auth, tokens.access_token, { requestJwtResponse, ...open }))
const plain = await introspect(false)
const signed = await introspect(true)

const refreshed = await withNonce(async () =>
  oauth.processRefreshTokenResponse(
    as, client, await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, bound)))
const second = await exchange(refreshed.access_token)

const own = await withNonce(async () =>
  oauth.processClientCredentialsResponse(
    as, client, await oauth.clientCredentialsGrantRequest(as, client, auth, { scope: 'grant_management_query' }, bound)))
const managed = await withNonce(() =>
  oauth.protectedResourceRequest(own.access_token, 'GET', new URL(`${as.grant_management_endpoint}/${tokens.grant_id}`),
    undefined, undefined, bound))
const grant = await managed.json()

await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, auth, tokens.refresh_token, open))
const after = await introspect(false)
let third
try {
  third = await exchange(refreshed.access_token)
} catch (error) {
  third = { status: error.response?.status ?? error.status, body: null }
}

say({
  token_type: tokens.token_type, authorization_details: tokens.authorization_details, claims,
  first: { status: first.status, body: first.body }, second: { status: second.status },
  plain, signed, grant, after, third: { status: third.status },
})
