// The lists of mutexes, which newer SDKs have dropped. BEHAVIOUR N-07, N-09, L-01, L-09, L-12.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { byBytes, grn, pages, refused, suite, unique } = require('./support');

suite((t) => {
  for (const operation of ['describeMutexes', 'describeMutexesByUserId']) {
    const me = operation === 'describeMutexes';

    // A user with mutexes on these properties, and the call that lists them.
    const holder = async ({ properties = [], namespaceName, userId = unique('user'), ttl } = {}) => {
      const namespace = namespaceName ?? (await t.namespace());
      for (const propertyId of properties) {
        await t.call('lock', 'lockByUserId', { namespaceName: namespace, userId, propertyId, transactionId: 't', ttl });
      }
      const identity = me ? { accessToken: (await t.call('auth', 'login', { userId })).token } : { userId };
      const describe = (fields) => t.call('lock', operation, { namespaceName: namespace, ...identity, ...fields });
      return { namespaceName: namespace, userId, describe };
    };
    const ids = (items) => items.map((item) => item.propertyId);

    test(`${operation}: nothing held`, async () => {
      const { describe } = await holder();
      const page = await describe({});
      assert.deepEqual(page.items, []);
      assert.equal(page.nextPageToken ?? null, null);
    });

    test(`${operation}: items and order (N-04, N-09)`, async () => {
      const properties = ['b', 'B', 'a', 'a/b', 'a b', '_', '10', '9', 'あ', '\uff61', '𠮷'];
      const { namespaceName, userId, describe } = await holder({ properties });
      const { items } = await describe({});
      assert.deepEqual(ids(items), properties.toSorted(byBytes));
      for (const item of items) {
        assert.equal(item.mutexId, grn('lock', namespaceName, 'user', userId, 'property', item.propertyId));
        assert.equal(item.userId, userId);
        assert.equal(item.transactionId, 't');
        assert.ok(item.createdAt > 0 && Number.isInteger(item.revision));
      }
    });

    test(`${operation}: paging (N-07)`, async () => {
      const properties = ['a', 'b', 'c/d', 'あ', '𠮷'];
      const { describe } = await holder({ properties });
      for (const limit of [1, 2, 5, 1000]) {
        const { items, sizes } = await pages(describe, {}, limit);
        assert.deepEqual(ids(items), properties);
        assert.ok(sizes.every((size) => size <= limit));
      }
    });

    test(`${operation}: thirty by default (N-07)`, async () => {
      const properties = Array.from({ length: 31 }, (_, number) => `p-${String(number).padStart(2, '0')}`);
      const namespaceName = await t.namespace();
      const userId = unique('user');
      await Promise.all(properties.map((propertyId) =>
        t.call('lock', 'lockByUserId', { namespaceName, userId, propertyId, transactionId: 't' })));
      const { describe } = await holder({ namespaceName, userId });
      const first = await describe({});
      assert.deepEqual(ids(first.items), properties.slice(0, 30));
      const second = await describe({ pageToken: first.nextPageToken });
      assert.deepEqual(ids(second.items), properties.slice(30));
      assert.equal(second.nextPageToken ?? null, null);
    });

    test(`${operation}: changes between pages (N-09)`, async () => {
      const { namespaceName, userId, describe } = await holder({ properties: ['b', 'c', 'd'] });
      const first = await describe({ limit: 2 });
      await t.call('lock', 'deleteMutexByUserId', { namespaceName, userId, propertyId: 'c' });
      for (const propertyId of ['a', 'e']) {
        await t.call('lock', 'lockByUserId', { namespaceName, userId, propertyId, transactionId: 't' });
      }
      assert.deepEqual(ids((await describe({ limit: 2, pageToken: first.nextPageToken })).items), ['d', 'e']);
    });

    test(`${operation}: what is released or deleted is not listed (L-05, L-13)`, async () => {
      const { namespaceName, userId, describe } = await holder({ properties: ['a', 'b', 'c', 'c'] });
      await t.call('lock', 'unlockByUserId', { namespaceName, userId, propertyId: 'a', transactionId: 't' });
      await t.call('lock', 'deleteMutexByUserId', { namespaceName, userId, propertyId: 'b' });
      await t.call('lock', 'unlockByUserId', { namespaceName, userId, propertyId: 'c', transactionId: 't' });
      assert.deepEqual(ids((await describe({})).items), ['c']);
    });

    test(`${operation}: what has expired at the time the call sees is not listed (L-09, A-08)`, async () => {
      const short = await holder({ properties: ['a', 'c'], ttl: 60 });
      const { namespaceName, userId } = short;
      const { describe } = await holder({ namespaceName, userId, properties: ['b'], ttl: 3600 });
      assert.deepEqual(ids((await describe({})).items), ['a', 'b', 'c']);
      const later = me
        ? { accessToken: (await t.call('auth', 'login', { userId, timeOffset: 61 })).token }
        : { timeOffsetToken: (await t.call('auth', 'issueTimeOffsetTokenByUserId', { userId, timeOffset: 61 })).token };
      const { items, sizes } = await pages(describe, later, 1);
      assert.deepEqual(ids(items), ['b']);
      assert.ok(sizes.every((size) => size <= 1));
    });

    test(`${operation}: one user of one namespace (L-01, N-15)`, async () => {
      const { namespaceName, userId, describe } = await holder({ properties: ['mine'] });
      await holder({ namespaceName, userId: `${userId}-x`, properties: ['theirs'] });
      await holder({ userId, properties: ['elsewhere'] });
      assert.deepEqual(ids((await describe({})).items), ['mine']);
    });

    test(`${operation}: refusals (N-02, N-07, E-08)`, async () => {
      const { describe } = await holder();
      for (const limit of [0, 1001, -1]) {
        await refused(() => describe({ limit }), 'lock.mutex.limit.error.invalid');
      }
      await refused(() => describe({ pageToken: 'a'.repeat(1025) }), 'lock.mutex.pageToken.error.tooLong');
      await refused(() => describe({ namespaceName: unique('absent') }), 'lock.namespace.namespace.error.notFound');
      await refused(() => describe({ namespaceName: '' }), 'lock.mutex.namespaceName.error.require');
      if (me) {
        await refused(() => describe({ accessToken: 'garbage' }), 'lock.accessToken.accessToken.error.invalid');
        await refused(() => describe({ accessToken: '' }), 'lock.accessToken.accessToken.error.require');
      } else {
        await refused(() => describe({ userId: '' }), 'lock.mutex.userId.error.require');
        await refused(() => describe({ userId: 'あ'.repeat(129) }), 'lock.mutex.userId.error.tooLong');
      }
    });
  }
});
