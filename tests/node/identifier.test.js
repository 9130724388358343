// Identifier through the npm SDK, with the list of passwords that newer SDKs have dropped. BEHAVIOUR section 3.
'use strict';

const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');
const { test } = require('node:test');
const { connect, environment, grn, gs2, pages, refused, suite, unique } = require('./support');

const EVERYTHING = JSON.stringify({
  Version: '2016-04-01',
  Statements: [{ Effect: 'Allow', Actions: ['*'], Resources: ['*'] }],
});
const NO_USER = 'identifier.user.user.error.notFound';
const NO_POLICY = 'identifier.securityPolicy.securityPolicy.error.notFound';
const NO_PASSWORD = 'identifier.password.password.error.notFound';

// The passcode of now (RFC 6238) for the secret in an otpauth address.
function passcode(address) {
  const secret = new URL(address).searchParams.get('secret').replace(/=+$/, '');
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac('sha1', key).update(counter).digest();
  const start = digest[19] & 15;
  return String((digest.readUInt32BE(start) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

suite((t) => {
  const identifier = (operation, fields) => t.call('identifier', operation, fields);

  const policy = async () => {
    const name = unique('policy');
    const { item } = await identifier('createSecurityPolicy', { name, policy: EVERYTHING });
    t.undo('identifier', 'deleteSecurityPolicy', { securityPolicyName: name });
    return item;
  };

  test('user: create, get, update, describe, delete (N-04, N-09, E-13)', async () => {
    const name = await t.user();
    const { item } = await identifier('getUser', { userName: name });
    assert.equal(item.userId, grn('identifier', 'user', name));
    await refused(() => identifier('createUser', { name }), 'identifier.user.name.error.exists');
    await refused(() => identifier('createUser', { name: 'a b' }), 'identifier.user.name.error.invalid');
    const updated = (await identifier('updateUser', { userName: name, description: '𠮷'.repeat(1024) })).item;
    assert.equal(updated.description, '𠮷'.repeat(1024));
    const { items } = await pages((fields) => identifier('describeUsers', fields), {}, 1000);
    assert.deepEqual(items.filter((user) => user.name === name), [updated]);
    assert.equal((await identifier('deleteUser', { userName: name })).item.name, name);
    await refused(() => identifier('getUser', { userName: name }), NO_USER);
  });

  test('policy: create, get, update, describe, delete (I-08, I-12)', async () => {
    const { name } = await policy();
    const { item } = await identifier('getSecurityPolicy', { securityPolicyName: name });
    assert.equal(item.securityPolicyId, grn('identifier', 'securityPolicy', name));
    assert.equal(item.policy, EVERYTHING);
    await refused(() => identifier('createSecurityPolicy', { name: unique('policy'), policy: '{}' }),
      'identifier.securityPolicy.policy.error.invalid');
    const updated = await identifier('updateSecurityPolicy', { securityPolicyName: name, description: 'x', policy: EVERYTHING });
    assert.equal(updated.item.description, 'x');
    const own = await pages((fields) => identifier('describeSecurityPolicies', fields), {}, 1000);
    assert.ok(own.items.some((listed) => listed.name === name));
    const common = await identifier('describeCommonSecurityPolicies', {});
    assert.deepEqual(common.items.map((listed) => listed.name),
      ['AdministratorAccess', 'ApplicationAccess', 'DeliveryAccess', 'UnauthenticatedAccess']);
    assert.equal((await identifier('deleteSecurityPolicy', { securityPolicyName: name })).item.name, name);
    await refused(() => identifier('getSecurityPolicy', { securityPolicyName: name }), NO_POLICY);
  });

  test('policy: attach, list, detach (I-14)', async () => {
    const userName = await t.user();
    const { securityPolicyId } = await policy();
    const ids = (result) => result.items.map((item) => item.securityPolicyId);
    assert.deepEqual(ids(await identifier('attachSecurityPolicy', { userName, securityPolicyId })), [securityPolicyId]);
    assert.deepEqual(ids(await identifier('getHasSecurityPolicy', { userName })), [securityPolicyId]);
    assert.deepEqual(ids(await identifier('detachSecurityPolicy', { userName, securityPolicyId })), []);
    await refused(() => identifier('detachSecurityPolicy', { userName, securityPolicyId }), NO_POLICY);
  });

  test('credential: create, log in, get, describe, delete (I-02, I-03, I-05)', async () => {
    const userName = await t.user();
    const { item, clientSecret } = await identifier('createIdentifier', { userName });
    const { clientId } = item;
    assert.ok(clientSecret.length > 0 && clientSecret.length <= 100);
    assert.equal((await identifier('getIdentifier', { userName, clientId })).item.userName, userName);
    assert.deepEqual((await identifier('describeIdentifiers', { userName })).items.map((i) => i.clientId), [clientId]);
    const session = await connect(t.transport, new gs2.core.BasicGs2Credential(clientId, clientSecret));
    await refused(() => session.call('lock', 'describeNamespaces', {}),
      'lock.namespace.describeNamespaces.error.notAuthorized');
    assert.equal((await identifier('deleteIdentifier', { userName, clientId })).item.clientId, clientId);
    await refused(() => session.call('lock', 'describeNamespaces', {}), 'lock.projectToken.projectToken.error.invalid');
    await session.close();
  });

  test('login (I-03, I-05)', async () => {
    const { clientId, clientSecret } = environment;
    const result = await t.call('identifier', 'login', { clientId, clientSecret });
    assert.ok(result.access_token ?? result.accessToken);
    await refused(() => identifier('login', { clientId, clientSecret: 'wrong' }),
      'identifier.identifier.clientSecret.error.invalid');
    await refused(() => identifier('login', { clientId }), 'identifier.projectToken.clientSecret.error.require');
  });

  test('password and login by user (I-01, I-07)', async () => {
    const userName = await t.user();
    await refused(() => identifier('getPassword', { userName }), NO_PASSWORD);
    const { item } = await identifier('createPassword', { userName, password: 'あ'.repeat(1024) });
    assert.equal(item.enableTwoFactorAuthentication, 'Disable');
    assert.deepEqual((await identifier('getPassword', { userName })).item, item);
    assert.ok((await identifier('loginByUser', { userName, password: 'あ'.repeat(1024) })).item.token);
    await refused(() => identifier('loginByUser', { userName, password: 'あ'.repeat(1023) }),
      'identifier.password.password.error.invalid');
    assert.deepEqual((await identifier('deletePassword', { userName })).item, item);
    await refused(() => identifier('createPassword', { userName, password: 'あ'.repeat(1025) }),
      'identifier.password.password.error.tooLong');
  });

  test('second factor (I-01)', async () => {
    const userName = await t.user();
    await identifier('createPassword', { userName, password: 'secret' });
    const { item, challengeToken } = await identifier('enableMfa', { userName });
    assert.equal(item.twoFactorAuthenticationSetting.status, 'Verifying');
    const challenged = await identifier('challengeMfa', { userName, passcode: passcode(challengeToken) });
    assert.equal(challenged.item.enableTwoFactorAuthentication, 'RFC6238');
    assert.equal(challenged.item.twoFactorAuthenticationSetting.status, 'Enable');
    await refused(() => identifier('loginByUser', { userName, password: 'secret' }), 'identifier.password.otp.error.require');
    assert.equal((await identifier('disableMfa', { userName })).item.enableTwoFactorAuthentication, 'Disable');
  });

  test('describePasswords: at most one, never the secret (I-01, N-07)', async () => {
    const userName = await t.user();
    const describe = (fields) => identifier('describePasswords', { userName, ...fields });
    assert.deepEqual((await describe({})).items, []);
    const { item } = await identifier('createPassword', { userName, password: 'open sesame' });
    for (const limit of [undefined, 1, 1000]) {
      const page = await describe({ limit });
      assert.deepEqual(page.items, [item]);
      assert.equal(page.nextPageToken ?? null, null);
      assert.doesNotMatch(JSON.stringify(page), /open sesame/);
    }
    await identifier('deletePassword', { userName });
    assert.deepEqual((await describe({})).items, []);
  });

  test('describePasswords: refusals (N-02, N-07, E-07)', async () => {
    const userName = await t.user();
    const describe = (fields) => identifier('describePasswords', { userName, ...fields });
    for (const limit of [0, 1001]) {
      await refused(() => describe({ limit }), 'identifier.password.limit.error.invalid');
    }
    await refused(() => describe({ pageToken: 'a'.repeat(1025) }), 'identifier.password.pageToken.error.tooLong');
    await refused(() => describe({ userName: unique('absent') }), NO_USER);
    await refused(() => describe({ userName: '' }), 'identifier.password.userName.error.require');
    await refused(() => describe({ userName: 'a'.repeat(129) }), 'identifier.password.userName.error.tooLong');
  });
});
