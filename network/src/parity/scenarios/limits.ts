// SPDX-License-Identifier: Apache-2.0
import { answer, endorse, firstBlock, firstEvents, statusName, take, taken } from '../observe.js';
import { ANY_ORGANISATION } from '../normalise.js';
import { editedProposal, newCommit } from '../requests.js';
import { PARITY_CHAINCODE, scenarios, type Json, type ScenarioContext } from '../scenario.js';

/** `peer.limits.concurrency.gatewayService`, Fabric's default. */
const GATEWAY_CONCURRENCY = 500;
/** How long 500 streams may take to open. */
const OPENING_MS = 30_000;
const SPARE_STREAMS = 20;
const MIB = 1024 * 1024;
const DEADLINE_MS = 500;

/** Too many, too large, too late. */
export const limitScenarios = scenarios('limits', {
  'a gateway works on so many calls and no more': async (context) => {
    // A few more than fit: whether one of them is refused or the call after them is a matter of timing.
    const streams = await Promise.all(
      Array.from({ length: GATEWAY_CONCURRENCY + SPARE_STREAMS }, () =>
        context.client().network.getChaincodeEvents(PARITY_CHAINCODE),
      ),
    );
    const ended = Promise.allSettled(streams.map((stream) => take(stream, 1)));
    const client = context.client();
    const refused = await untilRefused(context);
    const answers = {
      evaluate: refused,
      endorse: await endorse(context, client.contract.newProposal('put', { arguments: [context.key(), 'x'] })),
      chaincodeEvents: await answer(context, firstEvents(context, client.network, { startBlock: 0n })),
      blockEvents: await answer(context, firstBlock(client.network)),
      elsewhere: await answer(context, context.client(1).contract.evaluateTransaction('get', context.key())),
    };
    for (const stream of streams) {
      stream.close();
    }
    await ended;
    // A peer of Fabric sees that a stream was left only when it has something to send on it.
    await context.client(1).contract.submitTransaction('event', context.key(), 'payload');
    await context.settle();
    return answers;
  },

  'a client waits no longer than its deadline': async (context) => {
    const deadline = (): { deadline: number } => ({ deadline: Date.now() + DEADLINE_MS });
    const impatient = context.client(0, {
      deadlines: { evaluateOptions: deadline, endorseOptions: deadline, commitStatusOptions: deadline },
    });
    const slow = { arguments: ['2000'] };
    return {
      evaluate: await answer(context, impatient.contract.evaluate('sleep', slow)),
      endorse: await endorse(context, impatient.contract.newProposal('sleep', slow)),
      commitStatus: await answer(context, newCommit(impatient, '0'.repeat(64)).getStatus().then(statusName)),
    };
  },

  'a transaction is larger than a block may be': async (context) => {
    const { contract } = context.client();
    const put = async (length: number): Promise<Json> => {
      const proposal = contract.newProposal('putLarge', { arguments: [context.key(), String(length)] });
      const transaction = await proposal.endorse();
      return answer(context, taken(transaction.submit()), ANY_ORGANISATION);
    };
    return { fits: await put(3 * MIB), tooLarge: await put(11 * MIB) };
  },

  'a message is larger than the gateway takes': async (context) => {
    const { contract } = context.client();
    const proposal = contract.newProposal('put', { arguments: [context.key(), Buffer.alloc(101 * MIB, 'x')] });
    return { evaluate: await answer(context, proposal.evaluate()) };
  },

  'a clock is more than a minute off': async (context) => {
    const attempt = async (seconds: number): Promise<Json> => {
      const edited = editedProposal(context.client(), context.key(), (header) => {
        const timestamp = header.getTimestamp();
        timestamp?.setSeconds(timestamp.getSeconds() + seconds);
      });
      return { evaluate: await answer(context, edited.evaluate()), endorse: await endorse(context, edited) };
    };
    return { slow: await attempt(-90), fast: await attempt(90), alittleOff: await attempt(-30) };
  },

  'a transaction id is not its own': async (context) => {
    const edited = editedProposal(context.client(), context.key(), (header) => {
      header.setTxId('00');
    });
    return { evaluate: await answer(context, edited.evaluate()), endorse: await endorse(context, edited) };
  },
});

/** Asks until the gateway refuses, or a while has passed: calls that were sent need not have arrived. */
async function untilRefused(context: ScenarioContext): Promise<Json> {
  const { contract } = context.client();
  const endMs = Date.now() + OPENING_MS;
  for (;;) {
    const asked = await answer(context, contract.evaluateTransaction('nothing'));
    if (JSON.stringify(asked).includes('error') || Date.now() > endMs) {
      return asked;
    }
  }
}
