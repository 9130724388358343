// Chat through the npm SDK: rooms, who may read them, messages, subscriptions, notifications, hooks. BEHAVIOUR section 7.
'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { after, test } = require('node:test');
const { connect, grn, gs2, pages, refused, suite, unique } = require('./support');

const NO_NAMESPACE = 'chat.namespace.namespace.error.notFound';
const NO_ROOM = 'chat.room.room.error.notFound';
const NO_MESSAGE = 'chat.message.message.error.notFound';
const NO_SUBSCRIPTION = 'chat.subscribe.subscribe.error.notFound';
const NOT_ALLOWED = 'chat.room.allowUserIds.error.notInclude';
const PASSWORD_REQUIRED = 'chat.room.password.error.require';
const PASSWORD_WRONG = 'chat.room.password.error.invalid';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DEADLINE_MS = 10_000;
const { NotificationSetting, NotificationType, ScriptSetting } = gs2.chat.model;

const types = (...categories) => categories.map((category) =>
  new NotificationType().withCategory(category).withEnableTransferMobilePushNotification(false));
const texts = (items) => items.map((item) => item.metadata);
const name = (item) => item.name;

suite((t) => {
  const chat = (operation, fields) => t.call('chat', operation, fields);
  const item = async (operation, fields) => (await chat(operation, fields)).item;
  const sockets = [];
  after(() => Promise.all(sockets.map((socket) => socket.close())));

  const namespaceOf = async (settings = {}) => {
    const namespaceName = unique('ns');
    await chat('createNamespace', { name: namespaceName, ...settings });
    t.undo('chat', 'deleteNamespace', { namespaceName });
    return namespaceName;
  };

  // A user of a namespace, called as the player (`me`) or by user id.
  const memberOf = async (who, namespaceName, userId = unique('user')) => {
    const me = who === 'me';
    const identity = me
      ? { namespaceName, accessToken: (await t.call('auth', 'login', { userId })).token } : { namespaceName, userId };
    const verb = (operation) => (me ? operation : `${operation}ByUserId`);
    const roomVerb = (operation) => (me ? operation : `${operation}FromBackend`);
    return {
      namespaceName,
      userId,
      other: () => memberOf(who, namespaceName),
      create: (fields) => item(roomVerb('createRoom'), { ...identity, ...fields }),
      update: (roomName, fields) => item(roomVerb('updateRoom'), { ...identity, roomName, ...fields }),
      remove: (roomName) => item(roomVerb('deleteRoom'), { ...identity, roomName }),
      room: (roomName) => item('getRoom', { namespaceName, roomName }),
      rooms: (fields) => chat('describeRooms', { namespaceName, ...fields }),
      post: (roomName, metadata, fields) => item(verb('post'), { ...identity, roomName, metadata, ...fields }),
      messages: async (roomName, fields) =>
        (await chat(verb('describeMessages'), { ...identity, roomName, ...fields })).items,
      latest: async (roomName, fields) =>
        (await chat(verb('describeLatestMessages'), { ...identity, roomName, ...fields })).items,
      message: (roomName, messageName, fields) =>
        item(verb('getMessage'), { ...identity, roomName, messageName, ...fields }),
      removeMessage: (roomName, messageName, poster = userId) =>
        item('deleteMessage', { namespaceName, roomName, messageName, userId: poster }),
      subscribe: (roomName, notificationTypes) =>
        item(verb('subscribe'), { ...identity, roomName, notificationTypes }),
      updateTypes: (roomName, notificationTypes) =>
        item(verb('updateNotificationType'), { ...identity, roomName, notificationTypes }),
      unsubscribe: (roomName) => item(verb('unsubscribe'), { ...identity, roomName }),
      subscription: (roomName) => item(verb('getSubscribe'), { ...identity, roomName }),
      subscriptions: (fields) => chat(verb('describeSubscribes'), { ...identity, ...fields }),
      subscribers: (roomName, fields) => chat('describeSubscribesByRoomName', { namespaceName, roomName, ...fields }),
    };
  };

  // A socket of the SDK that is the player's, and what it is told.
  const listen = async (gatewayNamespaceName, userId) => {
    const socket = await connect('websocket');
    sockets.push(socket);
    const received = [];
    const events = new EventEmitter();
    socket.session.onNotification((message) => {
      received.push(message);
      events.emit('notification');
    });
    await socket.call('gateway', 'setUserIdByUserId', { namespaceName: gatewayNamespaceName, userId });
    return async (count) => {
      const signal = AbortSignal.timeout(DEADLINE_MS);
      while (received.length < count) await once(events, 'notification', { signal });
      return received.splice(0);
    };
  };

  test('namespace: create, get, update, status, describe, delete (N-04, N-12 to N-14, CH-02, CH-40, CH-70)', async () => {
    const namespaceName = unique('ns');
    t.undo('chat', 'deleteNamespace', { namespaceName });
    const postNotification = new NotificationSetting().withGatewayNamespaceId(grn('gateway', 'default'));
    const postMessageScript = new ScriptSetting().withTriggerScriptId('grn:s').withDoneTriggerTargetType('none');
    const made = await item('createNamespace', {
      name: namespaceName, description: 'あ𠮷', allowCreateRoom: false, messageLifeTimeDays: 30, postNotification,
      postMessageScript });
    assert.equal(made.namespaceId, grn('chat', namespaceName));
    assert.equal(made.allowCreateRoom, false);
    assert.equal(made.messageLifeTimeDays, 30);
    assert.equal(made.postNotification.gatewayNamespaceId, grn('gateway', 'default'));
    assert.equal(made.postMessageScript.triggerScriptId, 'grn:s');
    await refused(() => chat('createNamespace', { name: namespaceName }), 'chat.namespace.name.error.exists');
    assert.deepEqual(await item('getNamespace', { namespaceName }), made);
    assert.equal((await chat('getNamespaceStatus', { namespaceName })).status, 'ACTIVE');
    await refused(() => chat('updateNamespace', { namespaceName, messageLifeTimeDays: 31 }),
      'chat.namespace.messageLifeTimeDays.error.invalid');
    const updated = await item('updateNamespace', { namespaceName });
    assert.equal(updated.allowCreateRoom, true);
    assert.equal(updated.messageLifeTimeDays, 1);
    assert.equal(updated.postMessageScript ?? null, null);
    const { items } = await pages((fields) => chat('describeNamespaces', fields), {}, 1000);
    assert.deepEqual(items.filter((listed) => listed.name === namespaceName), [updated]);
    assert.equal((await item('deleteNamespace', { namespaceName })).name, namespaceName);
    await refused(() => chat('getNamespace', { namespaceName }), NO_NAMESPACE);
    await refused(() => chat('describeRooms', { namespaceName }), NO_NAMESPACE);
  });

  test('players may be kept from making rooms (CH-02, CH-04)', async () => {
    const namespaceName = await namespaceOf({ allowCreateRoom: false });
    const player = await memberOf('me', namespaceName);
    await refused(() => player.create({ name: 'lobby' }), NOT_ALLOWED);
    const server = await memberOf('byUserId', namespaceName);
    assert.equal((await server.create({ name: 'lobby' })).userId, server.userId);
    const hall = await item('createRoomFromBackend', { namespaceName, name: 'hall' });
    assert.equal(hall.userId ?? null, null);
    for (const member of [player, server]) await refused(() => member.remove('hall'), NOT_ALLOWED);
    assert.equal((await item('deleteRoomFromBackend', { namespaceName, roomName: 'hall' })).name, 'hall');
  });

  for (const who of ['me', 'byUserId']) {
    test(`${who}: rooms and their owners (CH-03, CH-05 to CH-09)`, async () => {
      const member = await memberOf(who, await namespaceOf());
      const other = await member.other();
      const room = await member.create({ metadata: 'あ𠮷', password: 'p', whiteListUserIds: [member.userId] });
      assert.match(room.name, UUID);
      assert.equal(room.roomId, grn('chat', member.namespaceName, 'room', room.name));
      assert.equal(room.userId, member.userId);
      assert.equal(room.password ?? null, null);
      assert.deepEqual(room.whiteListUserIds, [member.userId]);
      assert.deepEqual(await other.room(room.name), room);
      await refused(() => member.create({ name: room.name }), 'chat.room.name.error.exists');
      for (const call of [other.update, other.remove]) await refused(() => call(room.name), NOT_ALLOWED);
      const changed = await member.update(room.name, {});
      assert.equal(changed.metadata ?? null, null);
      assert.deepEqual(changed.whiteListUserIds ?? [], []);
      assert.equal(changed.createdAt, room.createdAt);
      assert.ok(changed.revision > room.revision);
      await other.post(room.name, 'open to everybody');
      await other.subscribe(room.name);
      assert.deepEqual(await member.remove(room.name), changed);
      await refused(() => other.messages(room.name), NO_ROOM);
      await other.create({ name: room.name });
      assert.deepEqual(await other.messages(room.name), []);
      await refused(() => other.subscription(room.name), NO_SUBSCRIPTION);
    });

    test(`${who}: white list before password, for every call (CH-10, CH-20 to CH-22)`, async () => {
      const member = await memberOf(who, await namespaceOf());
      const other = await member.other();
      const { name: room } = await member.create({ password: '𠮷 p&=', whiteListUserIds: [member.userId] });
      const message = await member.post(room, 'secret', { password: '𠮷 p&=' });
      const calls = {
        post: (one, fields) => one.post(room, 'text', fields),
        messages: (one, fields) => one.messages(room, fields),
        latest: (one, fields) => one.latest(room, fields),
        message: (one, fields) => one.message(room, message.name, fields),
      };
      for (const call of Object.values(calls)) {
        for (const fields of [{}, { password: 'wrong' }, { password: '𠮷 p&=' }]) {
          await refused(() => call(other, fields), NOT_ALLOWED);
        }
        await refused(() => call(member, {}), PASSWORD_REQUIRED);
        await refused(() => call(member, { password: 'wrong' }), PASSWORD_WRONG);
        await call(member, { password: '𠮷 p&=' });
      }
      await refused(() => member.post('absent', 'text', { password: 'p' }), NO_ROOM);
      assert.deepEqual(texts(await member.messages(room, { password: '𠮷 p&=' })), ['secret', 'text']);
    });

    test(`${who}: messages (CH-30, CH-31, CH-35 to CH-38, CH-42, CH-43)`, async () => {
      const member = await memberOf(who, await namespaceOf());
      const other = await member.other();
      const { name: room } = await member.create({});
      const posted = [];
      for (let number = 0; number < 5; number += 1) {
        posted.push(await (number % 2 ? other : member).post(room, `text ${number}`, { category: number % 2 }));
      }
      const [first] = posted;
      assert.match(first.name, UUID);
      assert.equal(first.messageId, grn('chat', member.namespaceName, 'room', room, 'message', first.name));
      assert.equal(first.userId, member.userId);
      assert.equal((await member.post(room, 'without a category')).category, 0);
      assert.ok(posted.every((message, index) => index === 0 || message.createdAt > posted[index - 1].createdAt));
      assert.deepEqual((await member.messages(room)).slice(0, 5), posted);
      assert.deepEqual(await member.messages(room, { startAt: posted[1].createdAt, limit: 2 }), posted.slice(1, 3));
      assert.deepEqual(await member.messages(room, { startAt: posted[1].createdAt + 1, limit: 2 }), posted.slice(2, 4));
      assert.deepEqual((await member.latest(room, { limit: 3 })).slice(0, 2), posted.slice(3, 5));
      assert.deepEqual(await other.message(room, first.name), first);
      await refused(() => member.removeMessage(room, first.name, other.userId), NO_MESSAGE);
      assert.deepEqual(await member.removeMessage(room, first.name), first);
      await refused(() => member.message(room, first.name), NO_MESSAGE);
      await refused(() => member.post(room, '𠮷'.repeat(1025)), 'chat.message.metadata.error.tooLong');
      await refused(() => member.post(room, 'text', { category: 2 ** 31 }), 'chat.message.category.error.invalid');
    });

    test(`${who}: many at once in one room come in one order (CH-35, CH-36)`, async () => {
      const member = await memberOf(who, await namespaceOf());
      const { name: room } = await member.create({});
      const posted = await Promise.all(Array.from({ length: 64 }, (_, number) => member.post(room, `${number}`)));
      const seen = [];
      for (;;) {
        const startAt = seen.length ? seen.at(-1).createdAt + 1 : 0;
        const page = await member.messages(room, { startAt, limit: 10 });
        if (page.length === 0) break;
        seen.push(...page);
      }
      assert.equal(new Set(seen.map((message) => message.createdAt)).size, 64);
      assert.deepEqual(seen.map(name), posted.sort((a, b) => a.createdAt - b.createdAt).map(name));
    });

    test(`${who}: subscriptions (CH-24, CH-50 to CH-53, CH-59)`, async () => {
      const member = await memberOf(who, await namespaceOf());
      const other = await member.other();
      for (const room of ['b', 'a', 'c']) await other.create({ name: room, password: 'p' });
      const made = await member.subscribe('a');
      assert.equal(made.subscribeId,
        grn('chat', member.namespaceName, 'user', member.userId, 'subscribe', 'a'));
      assert.deepEqual(made.notificationTypes ?? [], []);
      assert.deepEqual((await member.subscribe('a', types(1, 2))).notificationTypes.map((type) => type.category), [1, 2]);
      const updated = await member.updateTypes('a', types(3));
      assert.deepEqual(await member.subscription('a'), updated);
      for (const room of ['c', 'b']) await member.subscribe(room);
      await other.subscribe('a');
      const { items, sizes } = await pages((fields) => member.subscriptions(fields), {}, 2);
      assert.deepEqual(items.map((subscription) => subscription.roomName), ['a', 'b', 'c']);
      assert.ok(sizes.every((size) => size <= 2));
      const ofRoom = await pages((fields) => member.subscribers('a', fields), {}, 1);
      assert.deepEqual(ofRoom.items.map((subscription) => subscription.userId), [member.userId, other.userId].sort());
      assert.deepEqual(await member.unsubscribe('a'), updated);
      for (const call of [member.subscription, member.unsubscribe, (room) => member.updateTypes(room, types(1))]) {
        await refused(() => call('a'), NO_SUBSCRIPTION);
      }
      await refused(() => member.subscribe('absent'), NO_ROOM);
      await refused(() => member.subscribe('a', types(...Array(101).keys())),
        'chat.subscribe.notificationTypes.error.tooMany');
    });

    test(`${who}: subscribers are told, the poster too (CH-54 to CH-56)`, async () => {
      const gateway = await t.namespace('gateway');
      const postNotification = new NotificationSetting().withGatewayNamespaceId(grn('gateway', gateway));
      const member = await memberOf(who, await namespaceOf({ postNotification }));
      const other = await member.other();
      const { name: room } = await member.create({});
      const [told, othersTold] = [await listen(gateway, member.userId), await listen(gateway, other.userId)];
      await member.subscribe(room);
      await other.subscribe(room, types(1));
      const posted = [];
      for (const category of [0, 1, 2, 1]) posted.push(await member.post(room, 'a secret', { category }));
      const payloads = posted.map((message) => ({
        namespaceName: member.namespaceName, roomName: room, userId: member.userId, category: message.category,
        createdAt: message.createdAt,
      }));
      const messages = await told(4);
      assert.ok(messages.every((message) => message.subject === 'Gs2Chat:Post'));
      assert.ok(messages.every((message) => message.issuer === grn('chat', member.namespaceName)));
      assert.deepEqual(messages.map((message) => JSON.parse(message.payload)), payloads);
      assert.deepEqual((await othersTold(2)).map((message) => JSON.parse(message.payload)), [payloads[1], payloads[3]]);
    });

    test(`${who}: a script decides before a change (CH-71, CH-72)`, async () => {
      const store = await t.scripts();
      const namespaceName = await namespaceOf({
        postMessageScript: new ScriptSetting().withDoneTriggerTargetType('none').withTriggerScriptId(await store(
          "if args.message.metadata == 'worse' then fail(409, 'no') end "
          + "result = {permit = args.room.name == 'lobby' and args.message.metadata ~= 'bad'}")),
      });
      const member = await memberOf(who, namespaceName);
      await member.create({ name: 'lobby' });
      await member.post('lobby', 'good');
      for (const text of ['bad', 'worse']) {
        await refused(() => member.post('lobby', text), 'chat.message.script.error.failed');
      }
      assert.deepEqual(texts(await member.messages('lobby')), ['good']);
    });
  }

  test('rooms by page (N-07, N-09)', async () => {
    const member = await memberOf('byUserId', await namespaceOf());
    for (const room of ['b', 'a', 'B', '10', 'c']) await member.create({ name: room });
    const { items, sizes } = await pages((fields) => member.rooms(fields), {}, 2);
    assert.deepEqual(items.map(name), ['10', 'B', 'a', 'b', 'c']);
    assert.ok(sizes.every((size) => size <= 2));
  });

  test('without an access token what is for everybody can be read (CH-23)', async () => {
    const namespaceName = await namespaceOf();
    const member = await memberOf('byUserId', namespaceName);
    await member.create({ name: 'open' });
    await member.create({ name: 'closed', whiteListUserIds: [member.userId] });
    const { name: messageName } = await member.post('open', 'text');
    for (const [operation, fields] of Object.entries({
      describeMessages: {}, describeLatestMessages: {}, getMessage: { messageName } })) {
      const answer = await chat(operation, { namespaceName, roomName: 'open', ...fields });
      assert.deepEqual(texts(answer.items ?? [answer.item]), ['text']);
      await refused(() => chat(operation, { namespaceName, roomName: 'closed', ...fields }), NOT_ALLOWED);
    }
  });
});
