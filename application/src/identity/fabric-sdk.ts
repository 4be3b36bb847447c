// SPDX-License-Identifier: Apache-2.0
import './sdk-silence.js';
import type { ClientRequest, IncomingMessage } from 'node:http';
import https from 'node:https';
import FabricCAServices from 'fabric-ca-client';
import { Wallet, Wallets, type IdentityProvider } from 'fabric-network';

/** Fabric's older client packages: loaded on demand, since they take half a second. */
export { Wallet, Wallets };

/** fabric-network's handler of X.509 identities: with its crypto suite, and able to make a CA client's user of them. */
export async function newX509Provider(): Promise<IdentityProvider> {
  const wallet = await Wallets.newInMemoryWallet();
  return wallet.getProviderRegistry().getProvider('X.509');
}

type CryptoSuite = NonNullable<ConstructorParameters<typeof FabricCAServices>[3]>;

export interface CaClientOptions {
  readonly url: string;
  readonly caName: string;
  /** PEM of the root that the CA's TLS certificate chains to. */
  readonly tlsCaCert: string;
  /** Given one, the client keeps no key store in the user's home. */
  readonly cryptoSuite: CryptoSuite;
}

/**
 * How long a CA may take to answer. Its own default of 3 s is too short for a busy one, which spends a sixth of a second of
 * a core on each new identity, one after the other.
 */
const ANSWER_MS = 15_000;

type Request = (options: https.RequestOptions, onResponse: (response: IncomingMessage) => void) => ClientRequest;

/** Fabric's word for an identity with its key, as its clients take it. */
type User = Awaited<ReturnType<IdentityProvider['getUserContext']>>;
type SigningIdentity = ReturnType<User['getSigningIdentity']>;

/** The part of the CA client that sends requests. */
interface Sender {
  readonly _fabricCAClient: {
    _httpClient: { readonly request: Request };
    reenroll(csr: string, identity: SigningIdentity): Promise<{ readonly result: { readonly Cert: string } }>;
  };
}

/**
 * Has a holder's certificate request signed by the word of its present certificate. The client's own method would make
 * the key itself.
 *
 * @returns the certificate, PEM.
 */
export async function reenrol(client: FabricCAServices, csr: string, holder: User): Promise<string> {
  const sender = client as unknown as Sender;
  const { result } = await sender._fabricCAClient.reenroll(csr, holder.getSigningIdentity());
  return Buffer.from(result.Cert, 'base64').toString('utf8');
}

export function newCaClient({ url, caName, tlsCaCert, cryptoSuite }: CaClientOptions): FabricCAServices {
  const client = new FabricCAServices(url, { trustedRoots: [tlsCaCert], verify: true }, caName, cryptoSuite);
  // The client adds a listener to the socket with each request and removes none, so a socket must serve one only;
  // Node would warn on the console after the tenth. It has no setting for its agent.
  const agent = new https.Agent({ keepAlive: false });
  const sender = (client as unknown as Sender)._fabricCAClient;
  const own = { agent, timeout: ANSWER_MS };
  sender._httpClient = { request: (options, onResponse) => https.request({ ...options, ...own }, onResponse) };
  return client;
}
