// Distributor through the npm SDK: master data, gifts, and transactions that clients run. BEHAVIOUR section 10.
'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { setTimeout } = require('node:timers/promises');
const { connect, grn, gs2, pages, refused, suite, unique } = require('./support');

const NO_MUTEX = 'lock.mutex.mutex.error.notFound';
const { DistributeResource } = gs2.distributor.model;
const { TransactionSetting } = gs2.script.model;

// Makes the transaction that its arguments say.
const SCRIPT = `
transaction.execute({verify = args.verify, consume = args.consume, acquire = args.acquire})
result = {}
`;

const action = (name, request) => ({ action: `Gs2Lock:${name}`, request: JSON.stringify(request) });
const body = (signed) => JSON.parse(JSON.parse(signed).body);
const message = (ran) => JSON.parse(ran.result)[0].message;

// What became of a transaction, once it is there: SDKs ask again and again (DT-36).
async function result(ask) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return (await ask()).item;
    } catch (thrown) {
      assert.deepEqual(thrown.items?.map((item) => item.component), ['stampSheetResult']);
      assert.ok(attempt < 400, 'the transaction has no result');
      await setTimeout(25);
    }
  }
}

suite((t) => {
  const distributor = (operation, fields) => t.call('distributor', operation, fields);
  let socket;
  // The SDK's answer to an invocation lacks the sheet, which the socket shows as it came.
  before(async () => { socket = await connect('websocket'); });
  after(() => socket.close());

  // A player and what transactions did to them: each gain of a thing takes its mutex once more.
  const playerOf = async (fields = {}) => {
    const [lock, namespaceName] = [await t.namespace('lock'), await t.namespace('distributor')];
    const [name, userId] = [unique('ns'), unique('user')];
    const transactionSetting = new TransactionSetting().withDistributorNamespaceId(grn('distributor', namespaceName));
    Object.assign(transactionSetting, fields);
    await t.call('script', 'createNamespace', { name, transactionSetting });
    t.undo('script', 'deleteNamespace', { namespaceName: name });
    const made = await t.call('script', 'createScript', { namespaceName: name, name: 'script', script: SCRIPT });
    const { scriptId } = made.item;
    const of = (propertyId) => ({ namespaceName: lock, userId, propertyId });
    const taking = (propertyId) => ({ ...of(propertyId), transactionId: 't' });
    const player = {
      namespaceName,
      userId,
      has: (thing) => action('GetMutexByUserId', of(thing)),
      loses: (thing) => action('UnlockByUserId', taking(thing)),
      gains: (thing) => action('LockByUserId', taking(thing)),
      put: (thing) => t.call('lock', 'lockByUserId', taking(thing)),
      async count(thing) {
        const found = t.call('lock', 'getMutexByUserId', of(thing));
        const count = (thrown) => {
          assert.deepEqual(thrown.items?.map((item) => item.message), [NO_MUTEX]);
          return 0;
        };
        return found.then(({ item }) => item.referenceCount ?? 1, count);
      },
      async sheet(actions) {
        const args = JSON.stringify(actions);
        const made = await socket.call('script', 'invokeScript', { scriptId, args, userId });
        assert.equal(made.code, 200, made.result);
        return { stampSheet: made.stampSheet, keyId: made.stampSheetEncryptionKeyId, id: made.transactionId };
      },
    };
    player.purchase = () => player.sheet(
      { verify: [player.has('ticket')], consume: [player.loses('coin')], acquire: [player.gains('sword')] });
    return player;
  };

  test('namespace: create, get, update, status, describe, delete (N-04, N-12 to N-14)', async () => {
    const name = unique('ns');
    t.undo('distributor', 'deleteNamespace', { namespaceName: name });
    const { item } = await distributor('createNamespace', { name, description: 'あ𠮷', assumeUserId: 'grn:user' });
    assert.equal(item.namespaceId, grn('distributor', name));
    assert.equal(item.assumeUserId, 'grn:user');
    assert.deepEqual((await distributor('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await distributor('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await distributor('updateNamespace', { namespaceName: name })).item;
    assert.equal(updated.assumeUserId ?? '', '');
    const { items } = await pages((fields) => distributor('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await distributor('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => distributor('getNamespace', { namespaceName: name }),
      'distributor.namespace.namespace.error.notFound');
  });

  test('master data: drafts are exported, uploaded documents are in force (M-01 to M-06)', async () => {
    const namespaceName = await t.namespace('distributor');
    const inbox = grn('inbox', 'inbox');
    const draft = { namespaceName, name: 'gifts', metadata: 'm', inboxNamespaceId: inbox, whiteListTargetIds: ['grn:a'] };
    const { item } = await distributor('createDistributorModelMaster', draft);
    const named = { namespaceName, distributorName: 'gifts' };
    assert.deepEqual((await distributor('getDistributorModelMaster', named)).item, item);
    const listed = await pages((fields) => distributor('describeDistributorModelMasters', fields), { namespaceName }, 1);
    assert.deepEqual(listed.items, [item]);
    const { settings } = (await distributor('exportMaster', { namespaceName })).item;
    await refused(() => distributor('getDistributorModel', named),
      'distributor.distributorModel.distributorModel.error.notFound');
    await distributor('updateCurrentDistributorMaster', { namespaceName, settings });
    assert.deepEqual(JSON.parse((await distributor('getCurrentDistributorMaster', { namespaceName })).item.settings),
      JSON.parse(settings));
    const model = (await distributor('getDistributorModel', named)).item;
    assert.deepEqual([model.name, model.metadata, model.inboxNamespaceId, model.whiteListTargetIds],
      ['gifts', 'm', inbox, ['grn:a']]);
    assert.deepEqual((await distributor('describeDistributorModels', { namespaceName })).items, [model]);
    const updated = (await distributor('updateDistributorModelMaster', { ...named, description: 'd' })).item;
    assert.deepEqual([updated.description, updated.metadata ?? ''], ['d', '']);
    assert.deepEqual((await distributor('getDistributorModel', named)).item, model);
    assert.deepEqual((await distributor('deleteDistributorModelMaster', named)).item, updated);
  });

  test('a gift by a model, and one without (DT-50)', async () => {
    const player = await playerOf();
    const { namespaceName, userId } = player;
    const settings = JSON.stringify({ version: '2019-03-01', distributorModels: [{ name: 'gifts' }] });
    await distributor('updateCurrentDistributorMaster', { namespaceName, settings });
    const gift = (thing) => {
      const { action: name, request } = player.gains(thing);
      return { userId, distributeResource: new DistributeResource().withAction(name).withRequest(request) };
    };
    await distributor('distribute', { namespaceName, distributorName: 'gifts', ...gift('sword') });
    await distributor('distributeWithoutOverflowProcess', gift('shield'));
    assert.deepEqual([await player.count('sword'), await player.count('shield')], [1, 1]);
  });

  test('step by step: the context stack is the proof (DT-10 to DT-17)', async () => {
    const player = await playerOf();
    const { namespaceName } = player;
    const { stampSheet, keyId } = await player.purchase();
    const { verifyTasks, tasks, action: given } = body(stampSheet);
    assert.deepEqual([verifyTasks.length, tasks.length, given], [1, 1, 'Gs2Lock:LockByUserId']);
    const verify = (fields) => distributor('runVerifyTask', { namespaceName, verifyTask: verifyTasks[0], keyId, ...fields });
    const pay = (fields) => distributor('runStampTask', { namespaceName, stampTask: tasks[0], keyId, ...fields });
    const take = (fields) => distributor('runStampSheet', { namespaceName, stampSheet, keyId, ...fields });

    const failed = await verify({});
    assert.deepEqual([failed.statusCode, message(failed)], [404, NO_MUTEX]);
    await player.put('ticket');
    await player.put('coin');
    const first = await verify({});
    assert.equal(first.statusCode, 200);
    await refused(() => take({ contextStack: first.contextStack }), 'distributor.distribute.contextStack.error.invalid');
    const second = await pay({ contextStack: first.contextStack });
    assert.equal(second.statusCode, 200);
    const { contextStack } = second;
    // Each step a second time, which changes nothing (DT-21).
    assert.equal((await pay({ contextStack: first.contextStack })).result, second.result);
    const last = await take({ contextStack });
    assert.equal(last.statusCode, 200);
    assert.deepEqual(await take({ contextStack }), last);
    assert.deepEqual([await player.count('coin'), await player.count('sword')], [0, 1]);
    // Under another signature.
    const changed = stampSheet.replace('sword', 'crown');
    await refused(() => take({ stampSheet: changed, contextStack }), 'distributor.distribute.stampSheet.error.invalid');
  });

  test('at once (DT-18)', async () => {
    const player = await playerOf();
    const { namespaceName } = player;
    const { stampSheet, keyId } = await player.purchase();
    const ran = await distributor('runStampSheetExpress', { namespaceName, stampSheet, keyId });
    assert.deepEqual([ran.verifyTaskResultCodes, ran.taskResultCodes, ran.sheetResultCode ?? null], [[404], [], null]);
    await player.put('ticket');
    await player.put('coin');
    for (const again of [false, true]) {
      const { verifyTaskResultCodes, taskResultCodes, sheetResultCode } =
        await distributor('runStampSheetExpress', { namespaceName, stampSheet, keyId });
      assert.deepEqual([verifyTaskResultCodes, taskResultCodes, sheetResultCode], [[200], [200], 200], `${again}`);
    }
    assert.deepEqual([await player.count('coin'), await player.count('sword')], [0, 1]);
  });

  test('the server runs it, and tells what became of it (DT-30, DT-36)', async () => {
    const player = await playerOf({ enableAutoRun: true });
    const { namespaceName, userId } = player;
    await player.put('ticket');
    await player.put('coin');
    const { id: transactionId } = await player.purchase();
    const { token: accessToken } = await t.call('auth', 'login', { userId });
    const asked = { me: ['getStampSheetResult', { accessToken }], byUserId: ['getStampSheetResultByUserId', { userId }] };
    for (const [operation, fields] of Object.values(asked)) {
      const item = await result(() => distributor(operation, { namespaceName, transactionId, ...fields }));
      assert.deepEqual([item.transactionId, item.taskResultCodes, item.sheetResultCode], [transactionId, [200], 200]);
    }
    assert.deepEqual([await player.count('coin'), await player.count('sword')], [0, 1]);
  });

  test('without a namespace (DT-19)', async () => {
    const player = await playerOf();
    await player.put('coin');
    const { stampSheet, keyId } = await player.sheet(
      { consume: [player.loses('coin')], acquire: [player.gains('sword')] });
    const [stampTask] = body(stampSheet).tasks;
    const { statusCode, contextStack } = await distributor('runStampTaskWithoutNamespace', { stampTask, keyId });
    assert.equal(statusCode, 200);
    assert.equal((await distributor('runStampSheetWithoutNamespace', { stampSheet, keyId, contextStack })).statusCode, 200);
    const free = await player.sheet({ acquire: [player.gains('shield')] });
    const ran = await distributor('runStampSheetExpressWithoutNamespace', { stampSheet: free.stampSheet, keyId });
    assert.equal(ran.sheetResultCode, 200);
    assert.deepEqual([await player.count('coin'), await player.count('sword'), await player.count('shield')], [0, 1, 1]);
  });
});
