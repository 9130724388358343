// Log through the npm SDK: what is recorded of calls and transactions, and what games send. BEHAVIOUR section 12.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { grn, gs2, pages, refused, suite, unique } = require('./support');

const { InGameLogTag } = gs2.log.model;

suite((t) => {
  const log = (operation, fields) => t.call('log', operation, fields);

  // A Lock namespace whose calls are recorded.
  const recorded = async () => {
    const [namespaceName, name] = [await t.namespace('log'), unique('ns')];
    const logSetting = new gs2.lock.model.LogSetting().withLoggingNamespaceId(grn('log', namespaceName));
    await t.call('lock', 'createNamespace', { name, logSetting });
    t.undo('lock', 'deleteNamespace', { namespaceName: name });
    const lock = (userId, propertyId) => t.call('lock', 'lockByUserId',
      { namespaceName: name, userId, propertyId, transactionId: 't', ttl: 60 });
    return { namespaceName, lock };
  };

  test('namespace: create, get, update, status, describe, delete (LG-06, N-12 to N-14)', async () => {
    const name = unique('ns');
    t.undo('log', 'deleteNamespace', { namespaceName: name });
    const { item } = await log('createNamespace', { name, description: 'あ𠮷', type: 'gs2', logExpireDays: 7 });
    assert.equal(item.namespaceId, grn('log', name));
    assert.deepEqual([item.type, item.logExpireDays], ['gs2', 7]);
    assert.deepEqual((await log('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await log('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await log('updateNamespace', { namespaceName: name, logExpireDays: 8 })).item;
    assert.equal(updated.logExpireDays, 8);
    const { items } = await pages((fields) => log('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await log('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => log('getNamespace', { namespaceName: name }), 'log.namespace.namespace.error.notFound');
  });

  test('calls are found by who made them, and counted (LG-01 to LG-04, LG-07, LG-08)', async () => {
    const { namespaceName, lock } = await recorded();
    for (const [user, property] of [['alice', 'a'], ['bob', 'b'], ['alice', 'c']]) await lock(user, property);
    const found = await log('queryAccessLog', { namespaceName });
    const properties = (items) => items.map((item) => JSON.parse(item.request).propertyId);
    assert.deepEqual(properties(found.items), ['c', 'b', 'a']);
    assert.equal(found.totalCount, 3);
    const [last] = found.items;
    assert.deepEqual([last.service, last.method, last.userId], ['lock', 'lock', 'alice']);
    assert.equal(JSON.parse(last.result).item.propertyId, 'c');
    const chosen = await log('queryAccessLog', { namespaceName, service: 'lock', method: 'lock', userId: 'alice' });
    assert.deepEqual(properties(chosen.items), ['c', 'a']);
    const { items, sizes } = await pages((fields) => log('queryAccessLog', { namespaceName, ...fields }), {}, 2);
    assert.deepEqual([properties(items), sizes], [['c', 'b', 'a'], [2, 1]]);
    const counted = await log('countAccessLog', { namespaceName, userId: true });
    assert.deepEqual(counted.items.map((item) => [item.userId, item.count]).sort(), [['alice', 2], ['bob', 1]]);
    const traced = await log('queryAccessLogWithTelemetry', { namespaceName, userId: 'bob' });
    assert.deepEqual(traced.items.map((item) => [item.userId, item.status]), [['bob', 'ok']]);
    assert.ok(traced.items[0].duration >= 0);
    await refused(() => log('queryAccessLog', { namespaceName: unique('absent') }),
      'log.namespace.namespace.error.notFound');
  });

  test('transactions and their parts (LG-09)', async () => {
    const namespaceName = await t.namespace('log');
    const setting = (service) => new gs2[service].model.LogSetting().withLoggingNamespaceId(grn('log', namespaceName));
    const made = {};
    for (const service of ['script', 'distributor']) {
      made[service] = unique('ns');
      await t.call(service, 'createNamespace', { name: made[service], logSetting: setting(service) });
      t.undo(service, 'deleteNamespace', { namespaceName: made[service] });
    }
    const lock = await t.namespace('lock');
    const taking = (propertyId) => ({ namespaceName: lock, userId: 'alice', propertyId, transactionId: 't' });
    await t.call('lock', 'lockByUserId', taking('coin'));
    const script = `transaction.execute({
      consume = {{action = 'Gs2Lock:UnlockByUserId', request = args.coin}},
      acquire = {{action = 'Gs2Lock:LockByUserId', request = args.sword}}})`;
    const { item } = await t.call('script', 'createScript', { namespaceName: made.script, name: 's', script });
    const args = JSON.stringify({ coin: JSON.stringify(taking('coin')), sword: JSON.stringify(taking('sword')) });
    const invoked = await t.call('script', 'invokeScript', { scriptId: item.scriptId, userId: 'alice', args });
    assert.equal(invoked.code, 200);
    const issued = await log('queryIssueStampSheetLog', { namespaceName });
    assert.deepEqual(issued.items.map((one) => [one.userId, one.action]), [['alice', 'Gs2Lock:LockByUserId']]);
    assert.equal(JSON.parse(issued.items[0].tasks[0]).action, 'Gs2Lock:UnlockByUserId');
    for (const operation of ['countIssueStampSheetLog', 'countExecuteStampSheetLog', 'countExecuteStampTaskLog']) {
      const { items } = await log(operation, { namespaceName, action: true });
      const expected = operation === 'countIssueStampSheetLog' ? [['Gs2Lock:LockByUserId', 1]] : [];
      assert.deepEqual(items.map((one) => [one.action, one.count]), expected, operation);
    }
    for (const operation of ['queryExecuteStampSheetLog', 'queryExecuteStampTaskLog']) {
      assert.deepEqual((await log(operation, { namespaceName })).items, [], operation);
    }
  });

  test('what a game sends is found by its tags (LG-09)', async () => {
    const namespaceName = await t.namespace('log');
    const tags = (members) => Object.entries(members).map(([key, value]) => new InGameLogTag().withKey(key).withValue(value));
    const accessToken = (await t.call('auth', 'login', { userId: 'alice' })).token;
    const { item } = await log('sendInGameLog', { namespaceName, accessToken, tags: tags({ level: '1' }), payload: '{"a":1}' });
    assert.deepEqual([item.userId, item.payload], ['alice', '{"a":1}']);
    await log('sendInGameLogByUserId', { namespaceName, userId: 'bob', tags: tags({ level: '2' }), payload: 'b' });
    const find = async (fields) => (await log('queryInGameLog', { namespaceName, ...fields })).items;
    assert.deepEqual(await find({ tags: tags({ level: '1' }) }), [item]);
    assert.deepEqual((await find({ userId: 'bob' })).map((one) => one.payload), ['b']);
    assert.equal((await find({})).length, 2);
  });

  test('insight: create, get, describe, delete', async () => {
    const namespaceName = await t.namespace('log');
    const { item } = await log('createInsight', { namespaceName });
    const named = { namespaceName, insightName: item.name };
    assert.deepEqual((await log('getInsight', named)).item, item);
    assert.deepEqual((await log('describeInsights', { namespaceName })).items, [item]);
    assert.equal((await log('deleteInsight', named)).item.name, item.name);
    await refused(() => log('getInsight', named), 'log.insight.insight.error.notFound');
  });
});
