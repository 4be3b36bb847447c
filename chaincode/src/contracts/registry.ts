// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import {
  ContractError,
  enrollVehicles,
  findVehicles,
  freeSlots,
  getVehicle,
  listVehicles,
  recoverKey,
  rotateKey,
  setVehicleStatus,
  vehicleHistory,
  type BatchResult,
  type FreeSlots,
  type VehicleRecord,
} from '../api';
import { certifiedKeyOf } from '../caller';
import { encodeResult, parseArgument } from '../codec';
import { itemResult, tally } from '../domain/batch';
import { checkWindow, EnrollmentBatch } from '../domain/enrollment';
import { recoveredKey, rotatedKey, type KeyChangeTerms } from '../domain/key-change';
import { changeStatus } from '../domain/vehicle';
import { ConsortiumContract, LedgerContext } from './context';

/** Vehicles: one identity a domain for each physical vehicle, within quota and rate, its key and its status. */
@Info({ title: 'registry', description: 'Enrollment, keys and status of vehicles' })
export class RegistryContract extends ConsortiumContract {
  constructor() {
    super('registry');
  }

  @Transaction()
  async EnrollVehicles(ctx: LedgerContext, argument: string): Promise<string> {
    const { domain, window, vehicles } = parseArgument(enrollVehicles, argument, 'vehicles');
    const { governance, registry } = ctx;
    const { mspId } = ctx.caller;
    const { nowMs, txId } = ctx.state;
    const [consortium, policy] = await Promise.all([governance.consortiumHash(), governance.policy()]);
    checkWindow(window, policy, nowMs);
    const facts = await Promise.all(
      vehicles.map(async (item) => {
        const maker = await governance.maker(item.makerKeyId);
        const taken = await registry.takenNames(mspId, maker?.mspId, domain, window, item);
        return { item, ...taken, maker };
      }),
    );
    const batch = new EnrollmentBatch({ consortium, mspId, domain, policy, nowMs });
    const enrolled: { vehicle: VehicleRecord; rateSlot: number }[] = [];
    const results = facts.map((fact) =>
      itemResult(fact.item.vehicleId, () => {
        const vehicle = batch.decide(fact.item, fact);
        if (vehicle !== fact.existing) {
          enrolled.push({ vehicle, rateSlot: fact.item.rateSlot });
        }
      }),
    );
    await Promise.all(enrolled.map(({ vehicle, rateSlot }) => registry.enroll(vehicle, window, rateSlot)));
    const result: BatchResult = { docType: 'enrollmentBatch', schemaVersion: 1, txId, results };
    await registry.putBatch(result);
    ctx.state.emit({ type: 'VehiclesEnrolled', txId, ...tally(results) });
    return encodeResult(result);
  }

  @Transaction()
  async SetVehicleStatus(ctx: LedgerContext, argument: string): Promise<string> {
    const { vehicleId, status, reason } = parseArgument(setVehicleStatus, argument);
    const vehicle = await ctx.registry.vehicle(vehicleId);
    if (vehicle.mspId !== ctx.caller.mspId) {
      throw new ContractError('ACCESS_DENIED', `the vehicle belongs to ${vehicle.mspId}; propose a vote instead`);
    }
    const changed = changeStatus(vehicle, { status, reason, setBy: 'organisation' });
    if (changed !== vehicle) {
      await ctx.registry.putVehicle(changed);
      ctx.state.emit({ type: 'VehicleStatusChanged', vehicleId, status });
    }
    return encodeResult(changed);
  }

  /** By the vehicle, with the certificate of its new key. From now on only that key signs for it. */
  @Transaction()
  async RotateKey(ctx: LedgerContext, argument: string): Promise<string> {
    const asked = parseArgument(rotateKey, argument);
    const vehicle = await ctx.registry.vehicle(asked.vehicleId);
    if (ctx.caller.enrollmentId !== vehicle.vehicleId || ctx.caller.mspId !== vehicle.mspId) {
      throw new ContractError('ACCESS_DENIED', 'a vehicle changes its own key only');
    }
    const certified = certifiedKeyOf(ctx.clientIdentity);
    const changed = rotatedKey(vehicle, asked, certified, await this.#keyChangeTerms(ctx, asked.publicKey));
    return this.#saveKey(ctx, vehicle, changed);
  }

  /** By the registrar of the vehicle's organisation, for a car that its maker knows again. */
  @Transaction()
  async RecoverKey(ctx: LedgerContext, argument: string): Promise<string> {
    const asked = parseArgument(recoverKey, argument);
    const vehicle = await ctx.registry.vehicle(asked.vehicleId);
    if (vehicle.mspId !== ctx.caller.mspId) {
      throw new ContractError('ACCESS_DENIED', `the vehicle belongs to ${vehicle.mspId}`);
    }
    const maker = await ctx.governance.maker(asked.makerKeyId);
    const changed = recoveredKey(vehicle, asked, maker, await this.#keyChangeTerms(ctx, asked.publicKey));
    return this.#saveKey(ctx, vehicle, changed);
  }

  @Transaction(false)
  async GetVehicle(ctx: LedgerContext, argument: string): Promise<string> {
    const { vehicleId } = parseArgument(getVehicle, argument);
    return encodeResult(await ctx.registry.vehicle(vehicleId));
  }

  @Transaction(false)
  async FindVehicles(ctx: LedgerContext, argument: string): Promise<string> {
    const { vehicleIds } = parseArgument(findVehicles, argument);
    return encodeResult(await ctx.registry.findVehicles(vehicleIds));
  }

  @Transaction(false)
  async FreeSlots(ctx: LedgerContext, argument: string): Promise<string> {
    const { mspId, domain, window, count } = parseArgument(freeSlots, argument);
    const { governance, registry } = ctx;
    if ((await governance.member(mspId)) === undefined) {
      throw new ContractError('ORGANISATION_UNKNOWN', mspId);
    }
    const { vehicleQuota, enrollmentsPerWindow } = await governance.policy();
    const slots: FreeSlots = {
      quotaSlots: await registry.freeQuotaSlots(mspId, domain, vehicleQuota, count),
      rateSlots: await registry.freeRateSlots(mspId, domain, window, enrollmentsPerWindow, count),
    };
    return encodeResult(slots);
  }

  @Transaction(false)
  async ListVehicles(ctx: LedgerContext, argument: string): Promise<string> {
    const { pageSize, bookmark } = parseArgument(listVehicles, argument);
    return encodeResult(await ctx.registry.vehicles(pageSize, bookmark));
  }

  @Transaction(false)
  async VehicleHistory(ctx: LedgerContext, argument: string): Promise<string> {
    const { vehicleId, pageSize, bookmark } = parseArgument(vehicleHistory, argument);
    await ctx.registry.vehicle(vehicleId);
    return encodeResult(await ctx.registry.vehicleHistory(vehicleId, pageSize, bookmark));
  }

  async #keyChangeTerms(ctx: LedgerContext, publicKey: string): Promise<KeyChangeTerms> {
    const [consortium, publicKeyTaken] = await Promise.all([
      ctx.governance.consortiumHash(),
      ctx.registry.publicKeyTaken(publicKey),
    ]);
    return { consortium, nowMs: ctx.state.nowMs, publicKeyTaken };
  }

  async #saveKey(ctx: LedgerContext, vehicle: VehicleRecord, changed: VehicleRecord): Promise<string> {
    if (changed !== vehicle) {
      await ctx.registry.putNewKey(changed);
      const { vehicleId, keyRotations: rotation } = changed;
      ctx.state.emit({ type: 'VehicleKeyChanged', vehicleId, rotation });
    }
    return encodeResult(changed);
  }
}
