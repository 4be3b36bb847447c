// SPDX-License-Identifier: Apache-2.0
import {
  StatusCode,
  type ChaincodeEvent,
  type ChaincodeEventsOptions,
  type CloseableAsyncIterable,
  type Network,
  type Contract,
  type Proposal,
  type Status,
  type SubmittedTransaction,
} from '@hyperledger/fabric-gateway';
import type { ErrorOptions } from './normalise.js';
import { transactionsOf } from './rwset.js';
import { PARITY_CHAINCODE, PARITY_MSP_IDS, type Json, type ParityClient, type ScenarioContext } from './scenario.js';

/** How long a scenario waits for what must come. */
const DEADLINE_MS = 30_000;

/** What a call came to: `{ result }`, or the normalised error. */
export async function answer(
  { normaliser }: ScenarioContext,
  call: Promise<Uint8Array | Json>,
  options: ErrorOptions = {},
): Promise<Json> {
  let outcome: Uint8Array | Json;
  try {
    outcome = await call;
  } catch (error) {
    return normaliser.error(error, options);
  }
  return { result: normaliser.json(outcome instanceof Uint8Array ? fromBytes(outcome) : outcome) };
}

/** What endorsing came to: the contract's answer, or the error. */
export function endorse(context: ScenarioContext, proposal: Proposal, options: ErrorOptions = {}): Promise<Json> {
  return answer(
    context,
    proposal.endorse().then((transaction) => transaction.getResult()),
    options,
  );
}

/** How a submitted transaction ended, by the name of its validation code. */
export async function commitStatus(context: ScenarioContext, submitted: Promise<SubmittedTransaction>): Promise<Json> {
  return answer(
    context,
    submitted.then(async (transaction) => statusName(await everywhere(context, transaction))),
  );
}

/** Submits a transaction; what follows finds it committed at every organisation. */
export function submit(context: ScenarioContext, contract: Contract, name: string, ...args: string[]): Promise<Json> {
  return submitProposal(context, contract.newProposal(name, { arguments: args }));
}

/** Endorses and submits a proposal, and waits for it. @returns result and validation code, or the error. */
export async function submitProposal(context: ScenarioContext, proposal: Proposal): Promise<Json> {
  try {
    const transaction = await proposal.endorse();
    const status = await everywhere(context, await transaction.submit());
    return { result: context.normaliser.json(fromBytes(transaction.getResult())), status: statusName(status) };
  } catch (error) {
    return context.normaliser.error(error);
  }
}

/** Submits a transaction that a scenario builds on. @throws Error where it is not committed. */
export async function commit(
  context: ScenarioContext,
  contract: Contract,
  name: string,
  ...args: string[]
): Promise<Status> {
  const status = await everywhere(context, await contract.submitAsync(name, { arguments: args }));
  if (!status.successful) {
    throw new Error(`${name} ended with ${statusName(status)}`);
  }
  return status;
}

/** Waits until a transaction is committed at the peers of all organisations. @returns what the first of them says. */
export async function everywhere(context: ScenarioContext, submitted: SubmittedTransaction): Promise<Status> {
  const status = await submitted.getStatus();
  for (const position of PARITY_MSP_IDS.keys()) {
    await context.client(position).gateway.newCommit(submitted.getBytes()).getStatus();
  }
  return status;
}

export function statusName({ code }: Status): string {
  return Object.entries(StatusCode).find(([, value]) => value === code)?.[0] ?? String(code);
}

/** A contract's answer: JSON, or a text that is none. */
function fromBytes(bytes: Uint8Array): Json {
  const text = Buffer.from(bytes).toString();
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** The first events of a stream, which is then closed. */
export async function take<T>(events: CloseableAsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  const timer = setTimeout(() => {
    events.close();
  }, DEADLINE_MS);
  try {
    for await (const event of events) {
      taken.push(event);
      if (taken.length === count) {
        break;
      }
    }
  } finally {
    clearTimeout(timer);
    events.close();
  }
  return taken;
}

/** An event without what differs from run to run. */
export function eventShape({ normaliser }: ScenarioContext, event: ChaincodeEvent): Json {
  const { chaincodeName, eventName, payload } = event;
  return normaliser.json({ chaincodeName, eventName, payload: Buffer.from(payload).toString() });
}

/** The first events of a chaincode from a block on. */
export async function firstEvents(
  context: ScenarioContext,
  network: Network,
  options: ChaincodeEventsOptions = {},
  count = 1,
): Promise<Json> {
  const events = await take(await network.getChaincodeEvents(PARITY_CHAINCODE, options), count);
  return events.map((event) => eventShape(context, event));
}

/** Submits a proposal. @returns the transaction as its block holds it, or the error. */
export function recorded(context: ScenarioContext, client: ParityClient, proposal: Proposal): Promise<Json> {
  return answer(context, submitAndRead(context, client, proposal));
}

async function submitAndRead(context: ScenarioContext, client: ParityClient, proposal: Proposal): Promise<Json> {
  const submitted = await (await proposal.endorse()).submit();
  const { blockNumber } = await everywhere(context, submitted);
  const blocks = await take(await client.network.getBlockEvents({ startBlock: blockNumber }), 1);
  const found = blocks.flatMap(transactionsOf).find(({ id }) => id === submitted.getTransactionId());
  if (found === undefined) {
    throw new Error(`block ${String(blockNumber)} does not hold transaction ${submitted.getTransactionId()}`);
  }
  return { code: found.code, endorsers: found.endorsers, results: found.results };
}

/** Whether blocks are delivered to a client, from the first on. */
export async function firstBlock(network: Network): Promise<string> {
  const [block] = await take(await network.getBlockEvents({ startBlock: 0n }), 1);
  return block === undefined ? 'none' : 'delivered';
}

/** Whether a transaction was taken by the orderers. */
export async function taken(submitted: Promise<SubmittedTransaction>): Promise<string> {
  await submitted;
  return 'taken';
}
