// Auth through the npm SDK. BEHAVIOUR section 4.
'use strict';

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { grn, refused, suite, unique } = require('./support');

const HOUR_MS = 3_600_000;
const SLACK_MS = 60_000;

suite((t) => {
  const auth = (operation, fields) => t.call('auth', operation, fields);

  const assertToken = (result, userId) => {
    assert.ok(result.token.length > 0 && result.token.length <= 1024);
    assert.equal(result.userId, userId);
    assert.ok(Math.abs(result.expire - Date.now() - HOUR_MS) < SLACK_MS);
  };

  test('login (A-01, A-02, A-04, A-07)', async () => {
    for (const userId of [unique('user'), 'あ𠮷'.repeat(64)]) {
      assertToken(await auth('login', { userId }), userId);
      assertToken(await auth('login', { userId, timeOffset: 315360000 }), userId);
    }
    await refused(() => auth('login', {}), 'auth.accessToken.userId.error.require');
    await refused(() => auth('login', { userId: '𠮷'.repeat(129) }), 'auth.accessToken.userId.error.tooLong');
    for (const timeOffset of [-1, 315360001]) {
      await refused(() => auth('login', { userId: 'u', timeOffset }), 'auth.accessToken.timeOffset.error.invalid');
    }
  });

  // A body that signs in needs the secret, which only the operator has.
  test('loginBySignature refuses what the key has not signed (A-03, A-05, K-04)', async () => {
    const namespaceName = await t.namespace('key');
    const keyId = grn('key', namespaceName, 'key', 'signer');
    const call = () => auth('loginBySignature', { keyId, body: '{}', signature: '0'.repeat(64) });
    await refused(call, 'auth.accessToken.keyId.error.notFound');
    await t.call('key', 'createKey', { namespaceName, name: 'signer' });
    await refused(call, 'auth.accessToken.signature.error.invalid');
  });

  test('federation (A-06)', async () => {
    const namespaceName = await t.namespace();
    const userId = unique('user');
    const policyDocument = JSON.stringify({
      Version: '2016-04-01',
      Statements: [{ Effect: 'Allow', Actions: ['Gs2Lock:GetMutex'], Resources: ['*'] }],
    });
    const result = await auth('federation', { originalUserId: 'somebody', userId, policyDocument });
    assertToken(result, userId);
    const fields = { namespaceName, propertyId: 'p', accessToken: result.token };
    await refused(() => t.call('lock', 'getMutex', fields), 'lock.mutex.mutex.error.notFound');
    await refused(() => t.call('lock', 'lock', { ...fields, transactionId: 't' }), 'lock.mutex.lock.error.notAuthorized');
    await refused(() => auth('federation', { originalUserId: 'somebody', userId, policyDocument: '{}' }),
      'auth.accessToken.policyDocument.error.invalid');
  });

  test('issueTimeOffsetTokenByUserId (A-08)', async () => {
    const userId = unique('user');
    assertToken(await auth('issueTimeOffsetTokenByUserId', { userId, timeOffset: 60 }), userId);
  });
});
