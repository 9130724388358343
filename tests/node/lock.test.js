// Lock through the npm SDK: namespaces and mutexes. BEHAVIOUR section 8, N-01 to N-16.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { grn, gs2, refused, suite, unique } = require('./support');

const MISSING = 'lock.mutex.mutex.error.notFound';
const NOT_MATCH = 'lock.mutex.transactionId.error.notMatch';
const NO_NAMESPACE = 'lock.namespace.namespace.error.notFound';

suite((t) => {
  const lock = (operation, fields) => t.call('lock', operation, fields);

  test('namespace: create, get, update, status, describe, delete (N-04, N-08, N-12 to N-14)', async () => {
    const name = unique('ns');
    t.undo('lock', 'deleteNamespace', { namespaceName: name });
    const logSetting = new gs2.lock.model.LogSetting().withLoggingNamespaceId(grn('log', 'default'));
    const { item } = await lock('createNamespace', { name, description: 'あ𠮷', logSetting });
    assert.equal(item.namespaceId, grn('lock', name));
    assert.equal(item.description, 'あ𠮷');
    assert.equal(item.logSetting.loggingNamespaceId, grn('log', 'default'));
    assert.equal(item.createdAt, item.updatedAt);
    assert.deepEqual((await lock('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await lock('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await lock('updateNamespace', { namespaceName: name, description: 'new' })).item;
    assert.equal(updated.description, 'new');
    assert.equal(updated.logSetting ?? null, null);
    assert.ok(updated.revision > item.revision);
    const all = await lock('describeNamespaces', { limit: 1000 });
    assert.ok(all.items.some((listed) => listed.name === name));
    assert.equal((await lock('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => lock('getNamespace', { namespaceName: name }), NO_NAMESPACE);
  });

  test('namespace: unset parameters of a list count as absent (N-07, T-09)', async () => {
    await t.namespace();
    const { items } = await lock('describeNamespaces', {});
    assert.ok(items.length >= 1 && items.length <= 30);
  });

  test('namespace: refusals (E-04, E-09, E-13, N-07)', async () => {
    const name = await t.namespace();
    await refused(() => lock('createNamespace', { name }), 'lock.namespace.name.error.exists');
    await refused(() => lock('createNamespace', {}), 'lock.namespace.name.error.require');
    await refused(() => lock('createNamespace', { name: 'a'.repeat(129) }), 'lock.namespace.name.error.tooLong');
    await refused(() => lock('createNamespace', { name: 'あ' }), 'lock.namespace.name.error.invalid');
    await refused(() => lock('getNamespace', {}), 'lock.namespace.namespaceName.error.require');
    await refused(() => lock('updateNamespace', { namespaceName: name, description: '𠮷'.repeat(1025) }),
      'lock.namespace.description.error.tooLong');
    const { item } = await lock('updateNamespace', { namespaceName: name, description: '𠮷'.repeat(1024) });
    assert.equal(item.description, '𠮷'.repeat(1024));
    for (const limit of [0, 1001]) {
      await refused(() => lock('describeNamespaces', { limit }), 'lock.namespace.limit.error.invalid');
    }
  });

  for (const who of ['me', 'byUserId']) {
    // The mutex calls of one user, as the player or by user id.
    const player = async (namespaceName, userId = unique('user')) => {
      const identity = who === 'me' ? { accessToken: (await t.call('auth', 'login', { userId })).token } : { userId };
      const call = (verb) => (fields = {}) => lock(who === 'me' ? verb : `${verb}ByUserId`,
        { namespaceName, propertyId: 'property-1', ...identity, ...fields });
      return { userId, lock: call('lock'), unlock: call('unlock'), get: call('getMutex') };
    };

    test(`mutex, ${who}: lock, get, unlock (L-02 to L-08, L-12)`, async () => {
      const namespaceName = await t.namespace();
      const mutex = await player(namespaceName);
      await refused(() => mutex.get(), MISSING);
      const { item } = await mutex.lock({ transactionId: 't', ttl: 60 });
      assert.equal(item.mutexId, grn('lock', namespaceName, 'user', mutex.userId, 'property', 'property-1'));
      assert.equal(item.userId, mutex.userId);
      assert.equal(item.transactionId, 't');
      assert.deepEqual((await mutex.get()).item, item);
      await refused(() => mutex.lock({ transactionId: 'u' }), NOT_MATCH);
      await refused(() => mutex.unlock({ transactionId: 'u' }), NOT_MATCH);
      const deeper = (await mutex.lock({ transactionId: 't' })).item;
      assert.ok(deeper.revision > item.revision);
      await mutex.unlock({ transactionId: 't' });
      assert.equal((await mutex.get()).item.transactionId, 't');
      assert.equal((await mutex.unlock({ transactionId: 't' })).item.propertyId, 'property-1');
      await refused(() => mutex.unlock({ transactionId: 't' }), MISSING);
      const next = (await mutex.lock({ transactionId: 'u' })).item;
      assert.ok(next.revision > deeper.revision, 'the fencing number never goes back');
    });

    test(`mutex, ${who}: property ids (T-10, L-01)`, async () => {
      const mutex = await player(await t.namespace());
      for (const propertyId of ['a/b', 'with space', '日本語/𠮷', 'a/lock', 'あ'.repeat(1024)]) {
        assert.equal((await mutex.lock({ transactionId: 't', propertyId })).item.propertyId, propertyId);
        assert.equal((await mutex.get({ propertyId })).item.propertyId, propertyId);
        assert.equal((await mutex.unlock({ transactionId: 't', propertyId })).item.propertyId, propertyId);
      }
    });

    test(`mutex, ${who}: refusals (E-04, E-08, E-09, L-09)`, async () => {
      const mutex = await player(await t.namespace());
      await refused(() => mutex.lock({}), 'lock.mutex.transactionId.error.require');
      await refused(() => mutex.lock({ transactionId: '𠮷'.repeat(257) }), 'lock.mutex.transactionId.error.tooLong');
      await refused(() => mutex.lock({ transactionId: 't', propertyId: 'あ'.repeat(1025) }),
        'lock.mutex.propertyId.error.tooLong');
      await refused(() => mutex.lock({ transactionId: 't', propertyId: '' }), 'lock.mutex.propertyId.error.require');
      for (const ttl of [0, -1]) {
        await refused(() => mutex.lock({ transactionId: 't', ttl }), 'lock.mutex.ttl.error.invalid');
      }
      const elsewhere = await player(unique('absent'));
      await refused(() => elsewhere.lock({ transactionId: 't' }), NO_NAMESPACE);
    });

    test(`mutex, ${who}: the duplication avoider (L-17, X-02, X-03)`, async () => {
      const mutex = await player(await t.namespace());
      // The SDK names it differently on the socket, where it is a member of the envelope.
      const avoider = t.transport === 'rest' ? { duplicationAvoider: 'x' } : { xGs2DuplicationAvoider: 'x' };
      const first = await mutex.lock({ transactionId: 't', ...avoider });
      assert.deepEqual(await mutex.lock({ transactionId: 't', ...avoider }), first);
      await mutex.unlock({ transactionId: 't' });
      await refused(() => mutex.get(), MISSING);
    });
  }

  test('mutex: deleteMutexByUserId (L-13)', async () => {
    const where = { namespaceName: await t.namespace(), userId: 'user-1', propertyId: 'a/b' };
    await refused(() => lock('deleteMutexByUserId', where), MISSING);
    await lock('lockByUserId', { ...where, transactionId: 't' });
    await lock('lockByUserId', { ...where, transactionId: 't' });
    assert.equal((await lock('deleteMutexByUserId', where)).item.transactionId, 't');
    await refused(() => lock('getMutexByUserId', where), MISSING);
  });

  test('mutex: a time offset token moves what the call sees (A-08, L-09)', async () => {
    const where = { namespaceName: await t.namespace(), userId: 'user-1', propertyId: 'p' };
    await lock('lockByUserId', { ...where, transactionId: 't', ttl: 60 });
    const { token } = await t.call('auth', 'issueTimeOffsetTokenByUserId', { userId: 'user-1', timeOffset: 61 });
    await refused(() => lock('getMutexByUserId', { ...where, timeOffsetToken: token }), MISSING);
    const taken = await lock('lockByUserId', { ...where, transactionId: 'u', timeOffsetToken: token });
    assert.equal(taken.item.transactionId, 'u');
  });
});
