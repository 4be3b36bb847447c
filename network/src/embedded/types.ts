// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';

/** A certificate and its private key, as PEM. */
export interface KeyPairPem {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** An identity of an organisation that signs on its behalf: its peer, or its orderer. */
export interface SigningIdentity {
  readonly mspId: string;
  /** Serialised `msp.SerializedIdentity`: creator bytes. */
  readonly serialized: Uint8Array;
  /** DER-encoded, low-S ECDSA signature over SHA-256 of the message. */
  sign(message: Uint8Array): Uint8Array;
}

/** Why an identity or signature was refused; `message` is worded as a Fabric peer would word it. */
export class MspError extends Error {
  constructor(
    readonly reason:
      'MALFORMED' | 'MSP_UNKNOWN' | 'NOT_ISSUED' | 'EXPIRED' | 'REVOKED' | 'NODE_OU' | 'SIGNATURE' | 'HIGH_S',
    message: string,
  ) {
    super(message);
    this.name = 'MspError';
  }
}

export type NodeOu = 'client' | 'peer' | 'admin' | 'orderer';

/** A validated identity. */
export interface Identity {
  readonly mspId: string;
  readonly ou: NodeOu;
  readonly certificatePem: string;
  readonly publicKey: KeyObject;
  readonly notAfterMs: number;
}

/** Membership checks of one channel: X.509 chains to the MSP's root, NodeOU, CRL, expiry. Results may be cached by bytes. */
export interface MembershipVerifier {
  readonly mspIds: readonly string[];
  /** @throws MspError */
  identify(serializedIdentity: Uint8Array, atMs: number): Identity;
  /**
   * What never changes about an identity: chain, key and NodeOU, but neither expiry nor revocation. For committed
   * transactions, which must be judged the same at any time.
   * @throws MspError
   */
  identifyAtAnyTime(serializedIdentity: Uint8Array): Identity;
  /** Verifies an ECDSA P-256 signature and refuses a high S. @throws MspError */
  verify(identity: Identity, message: Uint8Array, signature: Uint8Array): void;
}

/** What the core needs of one organisation. */
export interface EmbeddedOrganisation {
  readonly name: string;
  readonly mspId: string;
  readonly peer: SigningIdentity;
  readonly orderer: SigningIdentity;
  /** PEM of the MSP's root, and of its TLS root; both go into block 0. */
  readonly identityCaCert: string;
  readonly tlsCaCert: string;
  /** Server TLS of the gateway. */
  readonly gatewayTls: KeyPairPem;
  /** Port of the gateway on loopback; 0 picks a free one. */
  readonly gatewayPort: number;
  /** Mutual TLS between peer and chaincode. */
  readonly chaincodeServerTls: KeyPairPem;
  readonly chaincodeClientTls: KeyPairPem;
  readonly chaincodePort: number;
}

export interface OrderingConfig {
  readonly batchTimeoutMs: number;
  readonly maxMessageCount: number;
  readonly preferredMaxBytes: number;
  /** Cut a block as soon as nothing else is waiting; hides the batch timeout, so off wherever latency is reported. */
  readonly cutWhenIdle: boolean;
}

export interface ChaincodeConfig {
  readonly name: string;
  readonly version: string;
  /** Folder of the chaincode package: its package.json's `main` exports `contracts`. */
  readonly path: string;
  /** Path of a collections file as Fabric's tools take it (`--collections-config`). */
  readonly collections?: string | undefined;
  /** A signature policy as Fabric's tools take it (`--signature-policy`); otherwise a majority of the organisations. */
  readonly endorsementPolicy?: string | undefined;
}

export interface EmbeddedNetworkConfig {
  /** Folder for blocks, state and chaincode logs. */
  readonly dataDir: string;
  readonly channel: string;
  readonly organisations: readonly EmbeddedOrganisation[];
  readonly msp: MembershipVerifier;
  readonly ordering: OrderingConfig;
  readonly chaincode: ChaincodeConfig;
  /** Endorsement and evaluation by one chaincode call, at the most. */
  readonly executeTimeoutMs?: number;
  /** Told, once, that nothing can be committed any longer: the network is to be closed and started again. */
  readonly onFailure?: (error: Error) => void;
  readonly log?: (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;
}

export interface ChaincodeProcessStatus {
  readonly mspId: string;
  readonly pid: number | undefined;
  readonly running: boolean;
}

export interface EmbeddedNetwork {
  readonly channel: string;
  /** Hex of block 0's header hash. */
  readonly genesisHash: string;
  readonly gatewayPorts: ReadonlyMap<string, number>;
  height(): number;
  chaincodeStatus(): readonly ChaincodeProcessStatus[];
  /** Rehearses the failure of an organisation's peer: its gateway closes, and it endorses nothing until it is started. */
  stopPeer(mspId: string): Promise<void>;
  startPeer(mspId: string): Promise<void>;
  /** Rehearses the failure of an organisation's orderer: without a quorum nothing is ordered. */
  setOrderer(mspId: string, isUp: boolean): void;
  /** Finishes what is running, stops chaincode processes, closes the stores. */
  close(): Promise<void>;
}
