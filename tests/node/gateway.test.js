// Gateway through the npm SDK: namespaces, sockets of players, notifications, devices. BEHAVIOUR section 6.
'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { after, test } = require('node:test');
const { byBytes, connect, grn, gs2, pages, refused, suite, unique } = require('./support');

const NO_NAMESPACE = 'gateway.namespace.namespace.error.notFound';
const NO_TOKEN = 'gateway.firebaseToken.firebaseToken.error.notFound';
const DEADLINE_MS = 10_000;

const serviceAccount = (members) => JSON.stringify({
  type: 'service_account', project_id: 'project-1', private_key: 'no key', client_email: 'nobody@project-1.invalid', ...members,
});

// A socket of the SDK whose notifications can be awaited.
class Listener {
  constructor(socket) {
    this.socket = socket;
    this.received = [];
    this.events = new EventEmitter();
    this.closed = new Promise((resolve) => socket.session.onClose(resolve));
    socket.session.onNotification((message) => {
      this.received.push(message);
      this.events.emit('notification');
    });
  }

  // The SDK's own client for the socket knows only this operation.
  async setUserId(namespaceName, accessToken, allowConcurrentAccess) {
    const request = new gs2.gateway.request.SetUserIdRequest()
      .withNamespaceName(namespaceName).withAccessToken(accessToken).withAllowConcurrentAccess(allowConcurrentAccess);
    return (await new gs2.gateway.Gs2GatewayWebSocketClient(this.socket.session).setUserId(request)).toDict().item;
  }

  async notifications(count) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (this.received.length < count) await once(this.events, 'notification', { signal });
    return this.received.splice(0);
  }
}

suite((t) => {
  const gateway = (operation, fields) => t.call('gateway', operation, fields);
  const login = async (userId) => (await t.call('auth', 'login', { userId })).token;

  const listen = async () => {
    const listener = new Listener(await connect('websocket'));
    t.listeners.push(listener);
    return listener;
  };

  // A player with so many sockets in a new namespace.
  const player = async (sockets = 1) => {
    const namespaceName = await t.namespace('gateway');
    const userId = unique('user');
    const accessToken = await login(userId);
    const listeners = [];
    for (let number = 0; number < sockets; number += 1) {
      const listener = await listen();
      listener.item = await listener.setUserId(namespaceName, accessToken);
      listeners.push(listener);
    }
    const who = { namespaceName, userId };
    const send = (fields) => gateway('sendNotification', { ...who, subject: 'subject', payload: 'payload', ...fields });
    return { who, accessToken, listeners, send };
  };

  t.listeners = [];
  after(() => Promise.all(t.listeners.map((listener) => listener.socket.close())));

  test('namespace: create, get, update, status, describe, delete (N-04, N-08, N-12 to N-14, G-52)', async () => {
    const name = unique('ns');
    t.undo('gateway', 'deleteNamespace', { namespaceName: name });
    const logSetting = new gs2.gateway.model.LogSetting().withLoggingNamespaceId(grn('log', 'default'));
    const { item } = await gateway('createNamespace',
      { name, description: 'あ𠮷', logSetting, firebaseSecret: serviceAccount() });
    assert.equal(item.namespaceId, grn('gateway', name));
    assert.equal(item.description, 'あ𠮷');
    assert.equal(item.firebaseSecret, serviceAccount());
    assert.equal(item.logSetting.loggingNamespaceId, grn('log', 'default'));
    assert.equal(item.createdAt, item.updatedAt);
    assert.deepEqual((await gateway('getNamespace', { namespaceName: name })).item, item);
    assert.equal((await gateway('getNamespaceStatus', { namespaceName: name })).status, 'ACTIVE');
    const updated = (await gateway('updateNamespace', { namespaceName: name, description: 'new' })).item;
    assert.equal(updated.description, 'new');
    assert.equal(updated.logSetting ?? null, null);
    assert.equal(updated.firebaseSecret ?? null, null);
    assert.ok(updated.revision > item.revision);
    const { items } = await pages((fields) => gateway('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === name), [updated]);
    assert.equal((await gateway('deleteNamespace', { namespaceName: name })).item.name, name);
    await refused(() => gateway('getNamespace', { namespaceName: name }), NO_NAMESPACE);
  });

  test('namespace: refusals (E-04, E-09, E-13, G-52)', async () => {
    const name = await t.namespace('gateway');
    await refused(() => gateway('createNamespace', { name }), 'gateway.namespace.name.error.exists');
    await refused(() => gateway('createNamespace', {}), 'gateway.namespace.name.error.require');
    await refused(() => gateway('updateNamespace', { namespaceName: name, description: '𠮷'.repeat(1025) }),
      'gateway.namespace.description.error.tooLong');
    for (const firebaseSecret of ['AAAA-a-legacy-server-key', '{}', serviceAccount({ private_key: '' })]) {
      await refused(() => gateway('updateNamespace', { namespaceName: name, firebaseSecret }),
        'gateway.namespace.firebaseSecret.error.invalid');
    }
    await refused(() => gateway('updateNamespace', { namespaceName: name, firebaseSecret: 'x'.repeat(8193) }),
      'gateway.namespace.firebaseSecret.error.tooLong');
  });

  test('setUserId through the client of the socket (G-01, G-02, G-11, G-13)', async () => {
    const { who, accessToken, listeners: [one, other] } = await player(2);
    for (const { item } of [one, other]) {
      assert.equal(item.webSocketSessionId,
        grn('gateway', who.namespaceName, 'user', who.userId, 'session', item.connectionId));
      assert.equal(item.namespaceName, who.namespaceName);
      assert.equal(item.userId, who.userId);
      assert.equal(item.revision, 1);
    }
    const listed = [one.item, other.item].map((item) => item.connectionId).sort(byBytes);
    const ids = (page) => page.items.map((item) => item.connectionId);
    const { namespaceName } = who;
    assert.deepEqual(ids(await gateway('describeWebSocketSessionsByUserId', who)), listed);
    assert.deepEqual(ids(await gateway('describeWebSocketSessions', { namespaceName, accessToken })), listed);
    const walked = await pages((fields) => gateway('describeWebSocketSessionsByUserId', { ...who, ...fields }), {}, 1);
    assert.deepEqual(ids(walked), listed);
    const again = await one.setUserId(namespaceName, accessToken);
    assert.equal(again.connectionId, one.item.connectionId);
    assert.ok(again.revision > one.item.revision);
  });

  test('setUserId: refusals (G-03, G-05, G-07, G-08)', async () => {
    const { who: { namespaceName, userId }, accessToken } = await player();
    const second = await listen();
    const call = (fields) => second.socket.call('gateway', 'setUserId',
      { namespaceName, accessToken, allowConcurrentAccess: true, ...fields });
    await refused(() => call({ allowConcurrentAccess: false }), 'gateway.webSocketSession.userId.error.duplicate');
    await refused(() => call({ namespaceName: unique('absent') }), NO_NAMESPACE);
    await refused(() => call({ accessToken: 'garbage' }), 'gateway.accessToken.accessToken.error.invalid');
    await refused(() => call({ accessToken: undefined }), 'gateway.accessToken.accessToken.error.require');
    if (t.transport === 'rest') {
      const message = 'gateway.webSocketSession.connectionId.error.require';
      await refused(() => gateway('setUserId', { namespaceName, accessToken }), message);
      await refused(() => gateway('setUserIdByUserId', { namespaceName, userId }), message);
    }
  });

  test('sendNotification reaches every socket of the player (G-30, G-31, G-33, G-34, G-36)', async () => {
    const { who, listeners, send } = await player(2);
    const sent = await send({ subject: '𠮷'.repeat(128), payload: '{"a": 1}' });
    assert.equal(sent.protocol, 'websocket');
    if (t.transport === 'websocket') {
      // The SDK's model of the answer does not have it.
      assert.deepEqual(sent.sendConnectionIds.toSorted(byBytes),
        listeners.map(({ item }) => item.connectionId).sort(byBytes));
    }
    for (const listener of listeners) {
      assert.deepEqual(await listener.notifications(1),
        [{ issuer: grn('gateway', who.namespaceName), subject: '𠮷'.repeat(128), payload: '{"a": 1}' }]);
    }
  });

  test('notifications arrive in the order in which they were sent (G-38)', async () => {
    const { listeners: [listener], send } = await player();
    const wanted = Array.from({ length: 50 }, (_, number) => String(number));
    for (const payload of wanted) await send({ payload });
    assert.deepEqual((await listener.notifications(wanted.length)).map((message) => message.payload), wanted);
  });

  test('nothing is kept for an absent player (G-35)', async () => {
    const { who, accessToken, send } = await player(0);
    assert.equal((await send({ payload: 'lost' })).protocol, 'none');
    const listener = await listen();
    await listener.setUserId(who.namespaceName, accessToken);
    await send({ payload: 'kept' });
    assert.deepEqual((await listener.notifications(1)).map((message) => message.payload), ['kept']);
  });

  test('sendNotification: refusals (E-08, E-09, G-40)', async () => {
    const { send } = await player(0);
    const model = 'gateway.sendNotificationEntry';
    await refused(() => send({ subject: '𠮷'.repeat(129) }), `${model}.subject.error.tooLong`);
    await refused(() => send({ payload: '𠮷'.repeat(1025) }), `${model}.payload.error.tooLong`);
    await refused(() => send({ subject: '' }), `${model}.subject.error.require`);
    await refused(() => send({ sound: 's'.repeat(257) }), `${model}.sound.error.tooLong`);
    await refused(() => send({ namespaceName: unique('absent') }), NO_NAMESPACE);
  });

  test('the duplication avoider sends once (X-02)', async () => {
    const { listeners: [listener], send } = await player();
    const avoider = t.transport === 'rest' ? { duplicationAvoider: 'x' } : { xGs2DuplicationAvoider: 'x' };
    const first = await send({ payload: 'once', ...avoider });
    assert.deepEqual(await send({ payload: 'once', ...avoider }), first);
    await send({ payload: 'last' });
    assert.deepEqual((await listener.notifications(2)).map((message) => message.payload), ['once', 'last']);
  });

  test('disconnectByUserId and disconnectAll close the sockets (G-12, G-14)', async () => {
    for (const operation of ['disconnectByUserId', 'disconnectAll']) {
      const { who, accessToken, listeners, send } = await player(2);
      const { namespaceName } = who;
      const result = await gateway(operation, operation === 'disconnectAll' ? { namespaceName } : who);
      if (operation === 'disconnectByUserId') {
        assert.deepEqual(result.items.map((item) => item.connectionId).sort(byBytes),
          listeners.map(({ item }) => item.connectionId).sort(byBytes));
      }
      await Promise.all(listeners.map((listener) => listener.closed));
      assert.deepEqual((await gateway('describeWebSocketSessionsByUserId', who)).items, []);
      const back = await listen();
      await back.setUserId(namespaceName, accessToken, false);
      assert.equal((await send()).protocol, 'websocket');
      assert.equal((await back.notifications(1)).length, 1);
    }
    const nobody = { namespaceName: await t.namespace('gateway'), userId: 'nobody' };
    assert.deepEqual((await gateway('disconnectByUserId', nobody)).items, []);
    await gateway('disconnectAll', { namespaceName: nobody.namespaceName });
  });

  for (const who of ['me', 'byUserId']) {
    test(`firebase token, ${who}: set, get, delete, push (G-50, G-53)`, async () => {
      const namespaceName = await t.namespace('gateway');
      const userId = unique('user');
      const identity = who === 'me' ? { accessToken: await login(userId) } : { userId };
      const call = (verb, fields = {}) => gateway(`${verb}FirebaseToken${who === 'me' ? '' : 'ByUserId'}`,
        { namespaceName, ...identity, ...fields });
      const push = (fields) => gateway('sendMobileNotificationByUserId',
        { namespaceName, userId, subject: 's', payload: 'p', ...fields });
      await refused(() => call('get'), NO_TOKEN);
      await refused(() => call('delete'), NO_TOKEN);
      await refused(() => push(), NO_TOKEN);
      const { item } = await call('set', { token: 'あ𠮷'.repeat(512) });
      assert.equal(item.firebaseTokenId, grn('gateway', namespaceName, 'user', userId, 'firebase', 'token'));
      assert.equal(item.token, 'あ𠮷'.repeat(512));
      assert.equal(item.userId, userId);
      assert.equal(item.revision, 1);
      const changed = (await call('set', { token: 'another' })).item;
      assert.equal(changed.token, 'another');
      assert.equal(changed.createdAt, item.createdAt);
      assert.equal(changed.revision, 2);
      assert.deepEqual((await call('get')).item, changed);
      await push({ subject: '𠮷'.repeat(256), payload: '𠮷'.repeat(1024), sound: 'bell' });
      await refused(() => push({ subject: '𠮷'.repeat(257) }), 'gateway.firebaseToken.subject.error.tooLong');
      assert.deepEqual((await call('delete')).item, changed);
      await refused(() => call('get'), NO_TOKEN);
      await refused(() => call('set', {}), 'gateway.firebaseToken.token.error.require');
      await refused(() => call('set', { token: 't'.repeat(1025) }), 'gateway.firebaseToken.token.error.tooLong');
      await refused(() => call('set', { token: 't', namespaceName: unique('absent') }), NO_NAMESPACE);
    });
  }

  test('a notification is forwarded to the device of a player without a socket (G-34, G-51)', async () => {
    const { who, listeners: [listener], send } = await player();
    const wanted = { enableTransferMobileNotification: true };
    await gateway('setFirebaseTokenByUserId', { ...who, token: 'token' });
    assert.equal((await send(wanted)).protocol, 'websocket');
    await gateway('disconnectByUserId', who);
    await listener.closed;
    assert.equal((await send(wanted)).protocol, 'firebase');
    assert.equal((await send({ enableTransferMobileNotification: false })).protocol, 'none');
    await gateway('deleteFirebaseTokenByUserId', who);
    assert.equal((await send(wanted)).protocol, 'none');
  });
});
