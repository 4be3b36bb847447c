// SPDX-License-Identifier: Apache-2.0
import { open } from 'node:fs/promises';
import type { LiveStatus } from '../../supervisor/handshake.js';
import { systemErrorCode } from '../../errors.js';
import type { Facts, HomeMember } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { healthProblem } from '../probes.js';
import type { Proc } from '../proc.js';

type Node = LiveStatus['nodes'][number];

const LOG_TAIL_BYTES = 4_096;
const LINE_CHARACTERS = 240;
/** So many restarts, and so often, are no accident. */
const LOOP_RESTARTS = 3;
const LOOP_RESTARTS_PER_HOUR = 6;

// eslint-disable-next-line no-control-regex -- terminal colours are control characters
const COLOURS = /\u001b\[[0-9;]*m/g;

/** The last line of a log that says something, without colours. */
async function lastLine(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      const length = Math.min(size, LOG_TAIL_BYTES);
      if (length === 0) {
        return '';
      }
      const { buffer } = await handle.read({ buffer: Buffer.alloc(length), position: size - length });
      const lines = buffer.toString('utf8').replace(COLOURS, '').split('\n');
      return (
        lines
          .filter((line) => line.trim() !== '')
          .at(-1)
          ?.slice(0, LINE_CHARACTERS) ?? ''
      );
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      return '';
    }
    throw error;
  }
}

/** What the system knows about a process that the network takes to be running. */
function stateProblem({ name, pid }: Node, proc: Proc): DoctorProblem | undefined {
  const state = pid === undefined ? undefined : proc.process(pid)?.state;
  const found = `${name} (process ${pid?.toString() ?? ''})`;
  if (state === 'Z' || state === 'X') {
    return { code: 'NODE_ZOMBIE', found };
  }
  return state === 'T' || state === 't' ? { code: 'NODE_FROZEN', found } : undefined;
}

/** How often processes died, judged by how long the network runs. */
export function restartProblem(node: Pick<Node, 'name' | 'restarts'>, runningMs: number): DoctorProblem | undefined {
  const { name, restarts } = node;
  if (restarts === 0) {
    return undefined;
  }
  const hours = Math.max(runningMs / 3_600_000, 1 / 60);
  const isLoop = restarts >= LOOP_RESTARTS && restarts / hours > LOOP_RESTARTS_PER_HOUR;
  const times = restarts === 1 ? 'once' : `${restarts.toString()} times`;
  return { code: isLoop ? 'NODE_RESTART_LOOP' : 'NODE_RESTARTED', found: `${name} died ${times}` };
}

const operationsPort = (member: HomeMember | undefined, kind: Node['kind']): number | undefined => {
  const { peerOperations, ordererOperations, caOperations } = member?.ports ?? {};
  return { peer: peerOperations, orderer: ordererOperations, ca: caOperations, chaincode: undefined }[kind];
};

async function nodeProblems(node: Node, facts: Facts): Promise<DoctorProblem[]> {
  const { proc, members, live, nowMs } = facts;
  const { name, kind, pid, running, log } = node;
  const frozen = stateProblem(node, proc);
  const restarted = restartProblem(node, nowMs - (live?.startedAtMs ?? nowMs));
  const restarts = restarted === undefined ? [] : [restarted];
  if (frozen !== undefined) {
    return [frozen, ...restarts];
  }
  if (!running || pid === undefined) {
    const line = await lastLine(log);
    const found = `${name} (log ${log})${line === '' ? '' : `, which ends: ${line}`}`;
    return [{ code: 'NODE_DOWN', found }, ...restarts];
  }
  const port = operationsPort(
    members.find((member) => member.name === node.organisation),
    kind,
  );
  const unhealthy = port === undefined ? undefined : await healthProblem(port);
  return unhealthy === undefined ? restarts : [{ code: 'NODE_UNHEALTHY', found: `${name} ${unhealthy}` }, ...restarts];
}

async function nodesResult(facts: Facts): Promise<CheckResult | undefined> {
  const { live, kind } = facts;
  if (live === undefined) {
    return undefined;
  }
  if (kind === 'embedded') {
    const down = live.chaincode.filter(({ running }) => !running);
    return {
      seen: `${live.chaincode.length.toString()} chaincode processes run`,
      problems: down.map(({ mspId }) => ({ code: 'CHAINCODE_PROCESS_DOWN', found: `that of ${mspId}` })),
    };
  }
  const problems = await Promise.all(live.nodes.map((node) => nodeProblems(node, facts)));
  return { seen: `${live.nodes.length.toString()} processes run and are well`, problems: problems.flat() };
}

export const nodesCheck: Check = { name: 'nodes', run: nodesResult };
