// SPDX-License-Identifier: Apache-2.0
import { publicKeyText } from '@sev/chaincode/api';
import { common, peer } from '@hyperledger/fabric-protos';
import { verifyBlockSignatures } from './block-signatures.js';
import {
  readBlock,
  recordedCommitHash,
  validationFlags,
  verifyChain,
  verifyMetadata,
  type AuditBlock,
} from './block.js';
import { readConfigTransaction, type ConfigTransaction } from './channel-config.js';
import { newChannel, type Channel } from './channel.js';
import { commitHash } from './commit-hash.js';
import { checkConfigUpdate, ConfigUpdateError } from './config-update.js';
import { DomainReplay, type ReplacedValue } from './domain-replay.js';
import { newEndorsementRules } from './endorsement-rules.js';
import { AuditError, type AuditCode, type AuditCounts } from './failure.js';
import type { Member, TrustedOrganisation } from './membership.js';
import {
  inspectTransaction,
  validationCodeName,
  type AuditTransaction,
  type EndorsedTransaction,
  type Verdict,
} from './transaction.js';
import { checkTrustedRoots } from './trusted-roots.js';
import { ReplayedState } from './versions.js';

const CODES = peer.TxValidationCode;
/** A client chooses its transaction's time within this margin of the peers' clocks (peer.authentication.timewindow). */
const CLOCK_MARGIN_MS = 60_000;

/** What an auditor trusts beforehand: everything else is checked against it. */
export interface TrustAnchors {
  readonly channel: string;
  /** Name of the contracts' chaincode on the channel. */
  readonly chaincode: string;
  /** Hex of block 0's header hash. */
  readonly genesisHash: string;
  readonly organisations: readonly TrustedOrganisation[];
}

/** Goes through the blocks in order, as a committing peer and then as an attester of every rule would. */
export class LedgerReplay {
  readonly domain: DomainReplay;
  readonly #anchors: TrustAnchors;
  readonly #state = new ReplayedState();
  /** Ids of all transactions of earlier blocks that own theirs, whatever became of them. */
  readonly #earlierIds = new Set<string>();
  /** Ids that transactions of earlier blocks claimed without owning them: a peer may or may not count these as used. */
  readonly #claimedIds = new Set<string>();
  readonly #counts: AuditCounts;
  /** The configuration in force; block 0 brings the first. */
  #channel: Channel | undefined;
  #height = 0;
  #lastHash: Uint8Array = new Uint8Array();
  #lastConfig = 0;
  #commitHash: Uint8Array = new Uint8Array();

  constructor(anchors: TrustAnchors, counts: AuditCounts) {
    this.#anchors = anchors;
    this.#counts = counts;
    this.domain = new DomainReplay(counts);
  }

  get height(): number {
    return this.#height;
  }

  /** Hex of the last block's hash: what an auditor may compare with others. */
  get lastHash(): string {
    return Buffer.from(this.#lastHash).toString('hex');
  }

  /** @throws AuditError at the first thing that does not hold. */
  add(raw: common.Block): void {
    const block = readBlock(raw, this.#height);
    const { number } = block.header;
    verifyChain(block, { height: this.#height, lastHash: this.#lastHash }, this.#anchors.genesisHash);
    const transaction = configTransactionOf(block);
    const channel = this.#channel ?? genesisChannel(transaction);
    this.#counts.signatures += verifyBlockSignatures(block, channel);
    this.#lastConfig = transaction === undefined ? this.#lastConfig : number;
    verifyMetadata(block, this.#lastConfig);
    this.#replayTransactions(block, channel);
    this.#channel =
      transaction === undefined || number === 0 ? channel : this.#nextChannel(number, channel, transaction);
    this.#height += 1;
    this.#lastHash = block.hash;
    this.#counts.blocks += 1;
  }

  /** To be called after the last block. @throws AuditError CHANNEL_ROOTS, ROOT_CERTIFICATE */
  finish(): void {
    if (this.#channel !== undefined) {
      checkTrustedRoots(this.#channel.config, this.#lastConfig, this.#anchors.organisations);
    }
  }

  #nextChannel(number: number, channel: Channel, transaction: ConfigTransaction): Channel {
    return readingConfig(number, () => {
      this.#counts.signatures += checkConfigUpdate(channel, transaction, this.#anchors.channel);
      return newChannel(transaction.config);
    });
  }

  #replayTransactions(block: AuditBlock, channel: Channel): void {
    const flags = validationFlags(block);
    // Peers judge all transactions of a block by the definitions before it.
    const rules = newEndorsementRules(channel.config, channel.policies, this.#state);
    const verdicts = block.transactions.map((bytes) =>
      inspectTransaction(bytes, this.#anchors.channel, channel.membership, rules),
    );
    const validIds = new Set<string>();
    this.#state.startBlock();
    verdicts.forEach((verdict, index) => {
      const { code, reason } = this.#againstLedger(verdict, validIds);
      const flag = flags[index] ?? CODES.NOT_VALIDATED;
      if (flag === CODES.DUPLICATE_TXID && this.#isClaimed(verdict.transaction)) {
        this.#counts.transactions += 1;
        return;
      }
      const where = transactionName(block.header.number, index, verdict.transaction);
      if (flag !== code) {
        const because = reason === '' ? '' : ` (${reason})`;
        const detail = `recorded ${validationCodeName(flag)}, found ${validationCodeName(code)}${because}`;
        throw transactionError(where, 'VALIDATION_FLAG', detail);
      }
      this.#counts.transactions += 1;
      this.#counts.endorsements += verdict.transaction.endorsed?.signaturesChecked ?? 0;
      if (flag === CODES.VALID) {
        this.#applyValid(block.header.number, index, where, verdict.transaction);
      }
    });
    for (const { transaction } of verdicts) {
      (transaction.ownsId ? this.#earlierIds : this.#claimedIds).add(transaction.txId);
    }
    this.#checkCommitHash(block, flags);
  }

  /** Peers keep a running hash from block 1 on; a ledger without any has none to check. */
  #checkCommitHash(block: AuditBlock, flags: Uint8Array): void {
    const { number } = block.header;
    const recorded = recordedCommitHash(block);
    if (number === 0 || (recorded.length === 0 && this.#commitHash.length === 0)) {
      return;
    }
    this.#commitHash = commitHash(this.#commitHash, flags, number, this.#state.finalWrites());
    if (Buffer.compare(recorded, this.#commitHash) !== 0) {
      const where = `block ${String(number)}`;
      const detail = "the peer's commit hash does not follow from the writes";
      throw new AuditError({ kind: 'block', where, code: 'COMMIT_HASH', detail });
    }
  }

  #isClaimed({ isWellFormed, txId }: AuditTransaction): boolean {
    return isWellFormed && this.#claimedIds.has(txId);
  }

  /** Adds what depends on earlier transactions: each id once, versions as read. */
  #againstLedger(verdict: Verdict, validIds: Set<string>): { code: number; reason: string } {
    const { code, reason, transaction } = verdict;
    const { txId, type, endorsed, isWellFormed } = transaction;
    if (type !== 'endorsed' || !isWellFormed) {
      return { code, reason };
    }
    if (this.#earlierIds.has(txId) || (code === CODES.VALID && validIds.has(txId))) {
      return { code: CODES.DUPLICATE_TXID, reason: 'the id was used before' };
    }
    if (code !== CODES.VALID) {
      return { code, reason };
    }
    validIds.add(txId);
    const conflict = this.#state.conflict(endorsed?.sets ?? []);
    return conflict === undefined ? { code, reason } : { code: CODES[conflict], reason: 'replayed from the read set' };
  }

  #applyValid(block: number, index: number, where: string, transaction: AuditTransaction): void {
    const { creator, endorsed } = transaction;
    if (transaction.type === 'config') {
      if (block > 0 && creator?.unit !== 'orderer') {
        const detail = `its creator is not an orderer but ${creator?.subject ?? 'nobody'}`;
        throw transactionError(where, 'CONFIG_TRANSACTION', detail);
      }
    } else if (endorsed !== undefined && creator !== undefined) {
      checkInDate(where, creator, transaction.timestampMs);
      checkKeyPolicies(where, endorsed);
      const values = this.#applyWrites(endorsed, block, index);
      if (endorsed.chaincode === this.#anchors.chaincode) {
        const [name = '', argument] = endorsed.args.map((arg) => Buffer.from(arg).toString('utf8'));
        const { timestampMs } = transaction;
        const creatorMspId = creator.mspId;
        const creatorKey = { publicKey: publicKeyText(creator.publicKey), notAfterMs: creator.notAfterMs };
        const asked = { name, argument: readJson(argument), creatorMspId, creatorKey, timestampMs };
        const request = { where, blockNumber: block, txId: transaction.txId, ...asked };
        this.domain.apply(request, values);
      }
    }
  }

  /** @returns what was written to our contracts' public state, beside what it replaced. */
  #applyWrites(endorsed: EndorsedTransaction, block: number, index: number): ReplacedValue[] {
    const own = this.#anchors.chaincode;
    const ownSets = endorsed.sets.filter((set) => set.namespace === own);
    const keys = ownSets.flatMap((set) => set.publicSet.getWritesList().map((write) => write.getKey()));
    const before = new Map(keys.map((key) => [key, this.#state.get(own, key)?.value]));
    return this.#state
      .apply(endorsed.sets, block, index)
      .filter((write) => write.namespace === own)
      .map((write) => ({ ...write, before: before.get(write.key) }));
  }
}

/** The configuration that a block holds; a configuration is alone in its block. */
function configTransactionOf({ header, transactions }: AuditBlock): ConfigTransaction | undefined {
  const types = transactions.map(headerTypeOf);
  if (!types.includes(common.HeaderType.CONFIG)) {
    return undefined;
  }
  return readingConfig(header.number, () => {
    if (transactions.length > 1) {
      throw new ConfigUpdateError('it is not alone in its block');
    }
    return readConfigTransaction(transactions[0] ?? new Uint8Array());
  });
}

/** @returns undefined where the bytes are no transaction: its validation code then says so. */
function headerTypeOf(envelopeBytes: Uint8Array): number | undefined {
  try {
    const payload = common.Envelope.deserializeBinary(envelopeBytes).getPayload_asU8();
    const header = common.Payload.deserializeBinary(payload).getHeader()?.getChannelHeader_asU8();
    return common.ChannelHeader.deserializeBinary(header ?? new Uint8Array()).getType();
  } catch {
    return undefined;
  }
}

function genesisChannel(transaction: ConfigTransaction | undefined): Channel {
  return readingConfig(0, () => {
    if (transaction === undefined) {
      throw new ConfigUpdateError('it is not there');
    }
    return newChannel(transaction.config);
  });
}

/** Reading fails only where a configuration is not what orderers would have accepted. */
function readingConfig<T>(block: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw transactionError(`block ${String(block)}, transaction 0`, 'CONFIG_TRANSACTION', detail);
  }
}

/** Name of the metadata entry with which a key gets an endorsement policy of its own. */
const KEY_POLICY = 'VALIDATION_PARAMETER';

function checkKeyPolicies(where: string, { sets }: EndorsedTransaction): void {
  const writes = sets.flatMap(({ publicSet, collections }) => [
    ...publicSet.getMetadataWritesList(),
    ...collections.flatMap(({ set }) => set.getMetadataWritesList()),
  ]);
  const entries = writes.flatMap((write) => write.getEntriesList().map((entry) => entry.getName()));
  if (entries.some((name) => name.startsWith(KEY_POLICY))) {
    throw transactionError(
      where,
      'KEY_POLICY_UNSUPPORTED',
      'of all later transactions it is unknown who had to endorse',
    );
  }
}

function checkInDate(where: string, creator: Member, timestampMs: number): void {
  const isTooEarly = timestampMs + CLOCK_MARGIN_MS < creator.notBeforeMs;
  if (isTooEarly || timestampMs - CLOCK_MARGIN_MS > creator.notAfterMs) {
    throw transactionError(where, 'CREATOR_CERTIFICATE', creator.subject);
  }
}

function readJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined; // The rules' schemas then name what is missing.
  }
}

function transactionName(block: number, index: number, transaction: AuditTransaction): string {
  const id = transaction.txId === '' ? '' : ` (${transaction.txId.slice(0, 16)}…)`;
  return `block ${String(block)}, transaction ${String(index)}${id}`;
}

function transactionError(where: string, code: AuditCode, detail: string): AuditError {
  return new AuditError({ kind: 'transaction', where, code, detail });
}
