// SPDX-License-Identifier: Apache-2.0
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { aggregatorsAt, type HttpAggregator } from '../aggregator/http-aggregator.js';
import type { ClientIdentity } from '../aggregator/tls-agent.js';
import { inHome } from '../config/homes.js';
import type { ConnectionProfile, OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError, messageOf } from '../errors.js';
import { HttpMeasurer } from '../incidents/measurer.js';
import { postJson } from '../services/http-client.js';
import type { RunningService } from '../services/service.js';
import { readIfThere, readJson } from '../store/files.js';
import { HttpStore } from '../store/http-store.js';
import { storeFolder } from './audit-ledger.js';
import { validationPath } from './validation-plan.js';

/** Addresses by name of the organisation, as `--aggregator org=url` gives them. */
export type Addresses = Readonly<Record<string, string>>;

export interface ServicesHereOptions {
  readonly profile: ConnectionProfile;
  /** Folder of the homes of this machine. */
  readonly homes: string;
  /** Told what is started, or cannot be had. */
  readonly note: (text: string) => void;
}

const readyFile = z.object({ url: z.string() });
const CONNECT_MS = 2_000;

/**
 * The store, aggregators and attesters that a command needs: those that are named, else those that run on this machine, else
 * those whose homes lie here, for as long as the command takes. Whatever was started is closed with it.
 */
export class ServicesHere {
  readonly #options: ServicesHereOptions;
  readonly #started: (() => Promise<void> | void)[] = [];
  /** By organisation: attesters that are started side by side need the same. */
  readonly #aggregatorsHere = new Map<string, Promise<string | undefined>>();
  #store: Promise<HttpStore> | undefined;

  constructor(options: ServicesHereOptions) {
    this.#options = options;
  }

  /** @throws SevError STORE_MISSING where none is named, running or on this machine. */
  store(named?: string): Promise<HttpStore> {
    this.#store ??= this.#findStore(named);
    return this.#store;
  }

  /** Clients of the aggregators that can be had; of the others it is said why not. */
  async aggregators(mspIds: readonly string[], named: Addresses, identity: ClientIdentity): Promise<HttpAggregator[]> {
    const places = await this.#aggregatorPlaces(mspIds, named);
    const clients = aggregatorsAt(this.#options.profile, places, identity);
    this.#started.push(() => {
      clients.forEach((client) => {
        client.close();
      });
    });
    return clients;
  }

  /** Attesters that measure corrections of a task: those named, and those whose validation data lie here. */
  async measurers(
    taskId: string,
    named: Addresses,
    aggregators: { readonly mspIds: readonly string[]; readonly named: Addresses },
  ): Promise<HttpMeasurer[]> {
    const found = await Promise.all(
      this.#options.profile.organisations.map(async (organisation) => {
        const url = namedUrl(named, organisation) ?? (await this.#attester(taskId, organisation, aggregators));
        return url === undefined ? [] : [new HttpMeasurer(organisation.mspId, url)];
      }),
    );
    return found.flat();
  }

  async close(): Promise<void> {
    for (const close of this.#started.splice(0).reverse()) {
      await close();
    }
  }

  async #findStore(named: string | undefined): Promise<HttpStore> {
    const { homes, note } = this.#options;
    if (named !== undefined) {
      return new HttpStore(named);
    }
    const running = await runningAt(join(homes, 'store'));
    if (running !== undefined) {
      return new HttpStore(running);
    }
    const directory = storeFolder(homes);
    const { openStoresToAudit } = await import('./audit-ledger.js');
    await openStoresToAudit([directory]);
    note(`the store of this machine (${directory}) is served while this takes`);
    const { runStore } = await import('../services/run-store.js');
    return new HttpStore(this.#keep(await runStore({ directory })));
  }

  async #aggregatorPlaces(
    mspIds: readonly string[],
    named: Addresses,
  ): Promise<{ readonly organisation: string; readonly url: string }[]> {
    const needed = this.#options.profile.organisations.filter(({ mspId }) => mspIds.includes(mspId));
    const found = await Promise.all(
      needed.map(async (organisation) => {
        const url = namedUrl(named, organisation) ?? (await this.#aggregator(organisation));
        return url === undefined ? [] : [{ organisation: organisation.name, url }];
      }),
    );
    return found.flat();
  }

  #aggregator(organisation: OrganisationProfile): Promise<string | undefined> {
    const { name } = organisation;
    const known = this.#aggregatorsHere.get(name) ?? this.#findAggregator(organisation);
    this.#aggregatorsHere.set(name, known);
    return known;
  }

  async #findAggregator({ name }: OrganisationProfile): Promise<string | undefined> {
    const { profile, note } = this.#options;
    const home = join(this.#options.homes, name);
    const running = await runningAt(inHome.aggregator(home));
    if (running !== undefined) {
      return running;
    }
    return this.#start(`aggregator of ${name}`, home, async () => {
      const { runAggregator } = await import('../services/run-aggregator.js');
      const storeUrl = (await this.store()).url;
      note(`the aggregator of ${name} runs while this takes`);
      return runAggregator({ profile, organisation: name, home, storeUrl });
    });
  }

  async #attester(
    taskId: string,
    { name, mspId }: OrganisationProfile,
    aggregators: { readonly mspIds: readonly string[]; readonly named: Addresses },
  ): Promise<string | undefined> {
    const { profile, homes, note } = this.#options;
    const home = join(homes, name);
    const running = await runningAt(home);
    if (running !== undefined && (await measures(running))) {
      return running;
    }
    const path = validationPath(homes, name, taskId);
    if ((await readIfThere(path)) === undefined) {
      note(`${mspId}: no attester that measures corrections is named, and ${path} is missing`);
      return undefined;
    }
    return this.#start(`attester of ${name}`, home, async () => {
      const { runAttester } = await import('../services/run-attester.js');
      const storeUrl = (await this.store()).url;
      note(`the attester of ${name} runs while this takes`);
      const places = await this.#aggregatorPlaces(aggregators.mspIds, aggregators.named);
      return runAttester({
        ...{ profile, organisation: name, home, storeUrl, aggregators: places },
        validationData: { source: 'file', path },
      });
    });
  }

  async #start(what: string, home: string, run: () => Promise<RunningService>): Promise<string | undefined> {
    if ((await readIfThere(inHome.signingKey(home))) === undefined) {
      this.#options.note(`the ${what} is not named, does not run here, and has no home in ${home}`);
      return undefined;
    }
    try {
      return this.#keep(await run());
    } catch (error) {
      this.#options.note(`the ${what} cannot be started: ${messageOf(error)}`);
      return undefined;
    }
  }

  #keep(service: RunningService): string {
    this.#started.push(() => service.close());
    if (service.url === undefined) {
      throw new SevError('SERVICE_UNREACHABLE', 'a service has no address', { exitCode: EXIT.unreachable });
    }
    return service.url;
  }
}

function namedUrl(named: Addresses, { name, mspId }: OrganisationProfile): string | undefined {
  return named[name] ?? named[mspId];
}

/** Where a service that left its address in its home still answers. */
async function runningAt(home: string): Promise<string | undefined> {
  const ready = readyFile.safeParse(await readJson(inHome.service(home)));
  return ready.success && (await answers(ready.data.url)) ? ready.data.url : undefined;
}

function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = createConnection({ host: hostname, port: Number(port), timeout: CONNECT_MS });
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

/** Whether an attester offers to measure: it then says what is wrong with a request that names nothing. */
async function measures(url: string): Promise<boolean> {
  try {
    const { status } = await postJson(`${url}/corrections/measure`, {}, { timeoutMs: CONNECT_MS });
    return status === 400;
  } catch {
    return false;
  }
}
