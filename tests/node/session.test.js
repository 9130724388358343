// The sessions of the npm SDK: login, a ready project token, many calls at once. BEHAVIOUR T-22, T-25, I-03, I-06.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { connect, environment, gs2, refused, suite } = require('./support');

const { BasicGs2Credential, ProjectTokenGs2Credential } = gs2.core;

test('a wrong secret refuses the REST session with a readable error (I-05)', async () => {
  await assert.rejects(() => connect('rest', new BasicGs2Credential(environment.clientId, 'wrong')), (thrown) => {
    assert.deepEqual(thrown.map((item) => item.message), ['identifier.identifier.clientSecret.error.invalid']);
    return true;
  });
});

suite((t) => {
  test('a ready project token needs no login (T-25, I-06)', async () => {
    const namespaceName = await t.namespace();
    const credential = new ProjectTokenGs2Credential(environment.ownerId, t.sdk.session.projectToken);
    const session = await connect(t.transport, credential);
    assert.equal((await session.call('lock', 'getNamespaceStatus', { namespaceName })).status, 'ACTIVE');
    await session.close();
  });

  test('an unknown project token is refused at the call (E-16)', async () => {
    const session = await connect(t.transport, new ProjectTokenGs2Credential(environment.ownerId, 'garbage'));
    await refused(() => session.call('lock', 'describeNamespaces', {}), 'lock.projectToken.projectToken.error.invalid');
    await session.close();
  });

  test('many calls at once get their own answers (T-22)', async () => {
    const namespaceName = await t.namespace();
    const propertyIds = Array.from({ length: 64 }, (_, number) => `p-${number}`);
    const results = await Promise.all(propertyIds.map((propertyId) =>
      t.call('lock', 'lockByUserId', { namespaceName, userId: 'u', propertyId, transactionId: 't' })));
    assert.deepEqual(results.map((result) => result.item.propertyId), propertyIds);
  });
});
