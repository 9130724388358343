"""Lock: the mutex itself, for the player's and the server's calls, over both transports. BEHAVIOUR section 8."""

import pytest

from harness import operations
from harness.environment import unique
from harness.sdk import BadRequest, Conflict, NotFound, Unauthorized

MISSING = "lock.mutex.mutex.error.notFound"
NOT_MATCH = "lock.mutex.transactionId.error.notMatch"
NO_NAMESPACE = "lock.namespace.namespace.error.notFound"
HOUR_MS = 3_600_000
LATEST_MS = 32_503_680_000_000


class Mutexes:
    """The mutexes of one user, called as the player (`me`) or by user id, at a time offset if given."""

    def __init__(self, sdk, namespace, who, user=None, offset=0):
        self.sdk, self.namespace, self.who, self.offset = sdk, namespace, who, offset
        self.user = user or unique("user")
        if who == "me":
            self.identity = {"access_token": sdk.auth.login(user_id=self.user, time_offset=offset).token}
        else:
            self.identity = {"user_id": self.user}
            if offset:
                token = sdk.auth.issue_time_offset_token_by_user_id(user_id=self.user, time_offset=offset).token
                self.identity["time_offset_token"] = token

    def _call(self, verb, **fields):
        operation = verb if self.who == "me" else f"{verb}_by_user_id"
        fields.setdefault("property_id", "property-1")
        return getattr(self.sdk.lock, operation)(namespace_name=self.namespace, **self.identity, **fields).item

    def lock(self, transaction="transaction-1", **fields):
        return self._call("lock", transaction_id=transaction, **fields)

    def unlock(self, transaction="transaction-1", **fields):
        return self._call("unlock", transaction_id=transaction, **fields)

    def get(self, **fields):
        return self._call("get_mutex", **fields)

    def delete(self, property_id="property-1"):
        identity = {k: v for k, v in self.identity.items() if k == "time_offset_token"}
        return self.sdk.lock.delete_mutex_by_user_id(
            namespace_name=self.namespace, user_id=self.user, property_id=property_id, **identity).item

    def describe(self):
        """The list that newer SDKs have dropped (N-07); the npm SDK's tests go into its depth."""
        if self.who == "me":
            fields = {"accessToken": self.identity["access_token"]}
            operation = operations.operation("lock", "describeMutexes")
        else:
            fields = {"userId": self.user}
            operation = operations.operation("lock", "describeMutexesByUserId")
        return self.sdk.call(operation, {"namespaceName": self.namespace, **fields})

    def at(self, offset):
        """The same mutexes as seen so many seconds later."""
        return Mutexes(self.sdk, self.namespace, self.who, self.user, offset)

    def of(self, user=None, namespace=None):
        return Mutexes(self.sdk, namespace or self.namespace, self.who, user or self.user)

    @property
    def count(self):
        """`referenceCount` of the last answer (L-11); the SDK's model does not have it."""
        return self.sdk.answer["item"]["referenceCount"]


@pytest.fixture(params=["me", "by_user_id"])
def mutexes(request, sdk, namespace):
    return Mutexes(sdk, namespace, request.param)


class TestLock:
    def test_grants_a_free_mutex_l02(self, mutexes, environment):
        """L-02, L-11, N-04, N-10: the item, its exact GRN, and the count that is not in current models."""
        item = mutexes.lock(ttl=60)
        assert item.mutex_id == environment.grn(
            "lock", mutexes.namespace, "user", mutexes.user, "property", "property-1")
        assert (item.user_id, item.property_id, item.transaction_id) == (mutexes.user, "property-1", "transaction-1")
        assert item.ttl_at == item.created_at + 60_000
        assert isinstance(item.revision, int) and item.revision >= 0
        assert mutexes.count == 1
        assert mutexes.get().to_dict() == item.to_dict()
        assert mutexes.count == 1

    def test_reentrant_l03_l05_l08(self, mutexes):
        """L-03, L-05, L-08: as many unlocks as locks; the last one still returns the item, at count 0."""
        first = mutexes.lock()
        for count in (2, 3):
            assert mutexes.lock().created_at == first.created_at
            assert mutexes.count == count
        for count in (2, 1, 0):
            item = mutexes.unlock()
            assert (item.property_id, item.transaction_id) == ("property-1", "transaction-1")
            assert mutexes.count == count
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.get()
        assert mutexes.lock("transaction-2").transaction_id == "transaction-2"
        assert mutexes.count == 1

    def test_held_by_another_transaction_l04(self, mutexes):
        """L-04, L-14: 409 at once, and the holder keeps what it had."""
        held = mutexes.lock(ttl=60)
        with mutexes.sdk.refuses(Conflict, NOT_MATCH):
            mutexes.lock("transaction-2", ttl=600)
        assert mutexes.get().to_dict() == held.to_dict()
        assert mutexes.count == 1
        mutexes.unlock()
        assert mutexes.lock("transaction-2").transaction_id == "transaction-2"

    def test_partly_released_is_still_held_l05(self, mutexes):
        mutexes.lock()
        mutexes.lock()
        mutexes.unlock()
        with mutexes.sdk.refuses(Conflict, NOT_MATCH):
            mutexes.lock("transaction-2")

    @pytest.mark.parametrize("transaction", ["あ𠮷" * 128, " ", "a/b?c#d%20", "TRANSACTION-1"],
                             ids=["longest", "space", "reserved", "case"])
    def test_transaction_ids_are_exact_l02(self, mutexes, transaction):
        assert mutexes.lock(transaction).transaction_id == transaction
        with mutexes.sdk.refuses(Conflict, NOT_MATCH):
            mutexes.lock("transaction-1")
        assert mutexes.unlock(transaction).transaction_id == transaction


class TestUnlock:
    def test_by_another_transaction_l06(self, mutexes):
        held = mutexes.lock()
        with mutexes.sdk.refuses(BadRequest, NOT_MATCH):
            mutexes.unlock("transaction-2")
        assert mutexes.get().to_dict() == held.to_dict()
        assert mutexes.count == 1

    def test_of_a_free_mutex_l07(self, mutexes):
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.unlock()
        mutexes.lock()
        mutexes.unlock()
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.unlock()

    def test_of_an_expired_mutex_l07_l09(self, mutexes):
        mutexes.lock(ttl=60)
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.at(61).unlock()


class TestGetAndDelete:
    def test_list_n07_n09_l12(self, mutexes):
        """N-07, N-09, L-12: what is held, ascending by property id; nothing of what is free."""
        for property_id in ("b", "B", "a/b", "a", "あ", "free"):
            mutexes.lock(property_id=property_id)
        mutexes.unlock(property_id="free")
        page = mutexes.describe()
        assert [item["propertyId"] for item in page["items"]] == ["B", "a", "a/b", "b", "あ"]
        assert page.get("nextPageToken") is None
        assert page["items"][1]["mutexId"] == mutexes.get(property_id="a").mutex_id

    def test_get_a_free_mutex_l12(self, mutexes):
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.get()

    def test_delete_whatever_the_holder_and_count_l13(self, mutexes):
        mutexes.lock()
        held = mutexes.lock()
        gone = mutexes.delete()
        assert (gone.mutex_id, gone.transaction_id) == (held.mutex_id, "transaction-1")
        for call in (mutexes.get, mutexes.unlock, mutexes.delete):
            with mutexes.sdk.refuses(NotFound, MISSING):
                call()
        assert mutexes.lock("transaction-2").transaction_id == "transaction-2"
        assert mutexes.count == 1

    def test_delete_missing_l13(self, mutexes):
        with mutexes.sdk.refuses(NotFound, MISSING):
            mutexes.delete()


class TestTtl:
    def test_one_hour_when_absent_l09(self, mutexes):
        item = mutexes.lock(ttl=None)
        assert item.ttl_at == item.created_at + HOUR_MS

    @pytest.mark.parametrize("ttl", [0, -1, -(2 ** 63)])
    def test_below_its_range_l09(self, mutexes, ttl):
        with mutexes.sdk.refuses(BadRequest, "lock.mutex.ttl.error.invalid"):
            mutexes.lock(ttl=ttl)

    def test_shortest_l09(self, mutexes):
        item = mutexes.lock(ttl=1)
        assert item.ttl_at == item.created_at + 1000

    @pytest.mark.parametrize("ttl", [32_503_680_000, 2 ** 53 + 1, 9_223_372_036_854_775_805])
    def test_overflow_is_capped_l09_n10(self, mutexes, ttl):
        assert mutexes.lock(ttl=ttl).ttl_at == LATEST_MS

    def test_deepening_never_shortens_l10(self, mutexes):
        first = mutexes.lock(ttl=600)
        assert mutexes.lock(ttl=60).ttl_at == first.ttl_at
        longer = mutexes.lock(ttl=1200)
        assert first.ttl_at + 600_000 <= longer.ttl_at < first.ttl_at + 660_000
        mutexes.unlock()
        assert mutexes.get().ttl_at == longer.ttl_at


class TestExpiry:
    """L-09, A-07 to A-09: expiry is judged at the time that the call sees; stored times are real."""

    def test_seen_through_a_time_offset_l09(self, mutexes):
        held = mutexes.lock(ttl=60)
        assert mutexes.at(55).get().to_dict() == held.to_dict()
        later = mutexes.at(61)
        for call in (later.get, later.unlock):
            with mutexes.sdk.refuses(NotFound, MISSING):
                call()
        assert mutexes.get().to_dict() == held.to_dict()

    def test_expired_is_free_whatever_the_count_l09(self, mutexes):
        mutexes.lock(ttl=60)
        mutexes.lock(ttl=60)
        taken = mutexes.at(61).lock("transaction-2", ttl=30)
        assert mutexes.count == 1
        assert taken.ttl_at == taken.created_at + 30_000, "an offset does not reach stored times (A-09)"
        assert mutexes.get().transaction_id == "transaction-2"
        with mutexes.sdk.refuses(BadRequest, NOT_MATCH):
            mutexes.unlock("transaction-1")

    def test_the_same_transaction_starts_again_l09(self, mutexes):
        first = mutexes.lock(ttl=60)
        mutexes.lock(ttl=60)
        again = mutexes.at(61).lock(ttl=60)
        assert mutexes.count == 1
        assert again.revision > first.revision and again.created_at >= first.created_at

    def test_delete_of_an_expired_mutex_l13(self, sdk, namespace):
        mutexes = Mutexes(sdk, namespace, "by_user_id")
        mutexes.lock(ttl=60)
        with sdk.refuses(NotFound, MISSING):
            mutexes.at(61).delete()

    def test_an_offset_takes_nothing_that_is_held_a09(self, mutexes):
        mutexes.lock(ttl=3600)
        with mutexes.sdk.refuses(Conflict, NOT_MATCH):
            mutexes.at(600).lock("transaction-2")

    def test_an_offset_reaches_no_other_user_a09(self, mutexes):
        other = mutexes.of(user=unique("user"))
        other.lock(ttl=60)
        mutexes.at(600).lock("transaction-2")
        assert other.get().transaction_id == "transaction-1"


class TestRevision:
    """The fencing number: it grows with every grant of a mutex and never goes back (L-02, N-11)."""

    def test_grows_with_every_grant_n11(self, mutexes):
        seen = [mutexes.lock(ttl=60).revision, mutexes.lock(ttl=60).revision]
        mutexes.unlock()
        mutexes.unlock()
        seen.append(mutexes.lock("transaction-2", ttl=60).revision)
        mutexes.delete()
        seen.append(mutexes.lock("transaction-3", ttl=60).revision)
        seen.append(mutexes.at(61).lock("transaction-4", ttl=60).revision)
        mutexes.unlock("transaction-4")
        seen.append(mutexes.lock("transaction-5").revision)
        assert seen == sorted(set(seen)), "strictly ascending"

    def test_does_not_go_back_in_between_n11(self, mutexes):
        mutexes.lock()
        granted = mutexes.lock().revision
        assert mutexes.get().revision == granted
        assert mutexes.unlock().revision >= granted
        assert mutexes.get().revision >= granted


class TestIsolation:
    def test_users_l01(self, mutexes):
        other = mutexes.of(user=mutexes.user + "-x")
        mutexes.lock("transaction-1")
        assert other.lock("transaction-2").user_id == other.user
        assert other.unlock("transaction-2").transaction_id == "transaction-2"
        assert mutexes.get().transaction_id == "transaction-1"

    def test_namespaces_n15(self, mutexes, make_namespace):
        other = mutexes.of(namespace=make_namespace())
        mutexes.lock("transaction-1")
        with mutexes.sdk.refuses(NotFound, MISSING):
            other.get()
        assert other.lock("transaction-2").transaction_id == "transaction-2"

    def test_properties_l01(self, mutexes):
        mutexes.lock("transaction-1", property_id="a")
        assert mutexes.lock("transaction-2", property_id="A").property_id == "A"
        assert mutexes.get(property_id="a").transaction_id == "transaction-1"

    def test_player_and_server_meet_n17(self, sdk, namespace):
        """N-17: `me` is the user of the access token."""
        user = unique("user")
        player, server = (Mutexes(sdk, namespace, who, user) for who in ("me", "by_user_id"))
        player.lock()
        server.lock()
        assert sdk.answer["item"]["referenceCount"] == 2
        player.unlock()
        assert server.unlock().user_id == user
        with sdk.refuses(NotFound, MISSING):
            player.get()


@pytest.mark.parametrize("property_id", [
    "a/b", "a/b/c", "/a", "a/", "a//b", "lock", "unlock", "a/lock", "a/unlock", "lock/lock",
    "with space", "日本語/𠮷", "a+b", "100%", "a&b=c", "grn:gs2:r:o:s:n:user:u", "~'()!*;,@$", "null-1", "me",
    "あ𠮷" * 512,
], ids=lambda value: value if len(value) < 40 else "longest")
def test_property_ids_are_exact_t10_l01(sdk, admin, open_sdk, mutexes, property_id):
    """T-10, L-01: slashes arrive raw, others encoded; both transports mean the same mutex."""
    item = mutexes.lock(property_id=property_id)
    assert item.property_id == property_id
    assert item.mutex_id.endswith(f":user:{mutexes.user}:property:{property_id}")
    over_rest = Mutexes(admin, mutexes.namespace, mutexes.who, mutexes.user)
    assert over_rest.get(property_id=property_id).to_dict() == item.to_dict()
    assert over_rest.unlock(property_id=property_id).property_id == property_id
    mutexes.lock(property_id=property_id)
    assert mutexes.delete(property_id=property_id).property_id == property_id


def test_property_ids_of_paths_do_not_meet_t10(mutexes):
    """T-10: `a/lock` is a property of its own, not the lock call of `a`."""
    mutexes.lock("transaction-1", property_id="a")
    mutexes.lock("transaction-2", property_id="a/lock")
    mutexes.lock("transaction-3", property_id="a/unlock")
    held = {p: mutexes.get(property_id=p).transaction_id for p in ("a", "a/lock", "a/unlock")}
    assert held == {"a": "transaction-1", "a/lock": "transaction-2", "a/unlock": "transaction-3"}


def test_missing_namespace_e08(sdk):
    """E-08: every mutex call in a missing namespace names the namespace."""
    for who in ("me", "by_user_id"):
        mutexes = Mutexes(sdk, unique("absent"), who)
        for call in (mutexes.lock, mutexes.unlock, mutexes.get, mutexes.delete):
            with sdk.refuses(NotFound, NO_NAMESPACE):
                call()


def test_longest_user_id_n02(sdk, namespace):
    """N-02: a user id is any text of 1 to 128 characters."""
    for who in ("me", "by_user_id"):
        mutexes = Mutexes(sdk, namespace, who, user="あ𠮷" * 64)
        assert mutexes.lock().user_id == "あ𠮷" * 64
        mutexes.delete()


def test_expired_time_offset_does_not_apply_to_players_a08(sdk, namespace):
    """A-08: a player's call takes the offset of its own token only."""
    held = Mutexes(sdk, namespace, "me")
    held.lock(ttl=60)
    later = held.at(61)
    with sdk.refuses(NotFound, MISSING):
        later.get()
    assert held.get().transaction_id == "transaction-1"


def test_federated_token_acts_as_its_user_a06(sdk, namespace):
    """A-06: a token from federation acts as `userId`."""
    target = Mutexes(sdk, namespace, "by_user_id")
    token = sdk.auth.federation(original_user_id=unique("guild"), user_id=target.user).token
    item = sdk.lock.lock(namespace_name=namespace, property_id="property-1", transaction_id="t", access_token=token).item
    assert item.user_id == target.user
    assert target.get().transaction_id == "t"


def test_context_stack_and_request_id_are_ignored_t05_t07(sdk, namespace):
    """T-05, T-07: `contextStack` and a caller's request id change nothing."""
    request = sdk.lock.request(
        "lock_by_user_id", namespace_name=namespace, user_id="u", property_id="p", transaction_id="t",
        context_stack="stack", request_id="my-request")
    assert sdk.lock.client.lock_by_user_id(request).item.transaction_id == "t"
    read = sdk.lock.request("get_mutex_by_user_id", namespace_name=namespace, user_id="u", property_id="p",
                            context_stack="stack あ", request_id="my-request")
    assert sdk.lock.client.get_mutex_by_user_id(read).item.transaction_id == "t"


def test_401_leaves_nothing_behind_e16(sdk, namespace, open_sdk):
    """E-16: a call that was refused for its credentials has done nothing."""
    stranger = open_sdk(sdk.transport, token="not-a-token")
    with stranger.refuses(Unauthorized, "lock.projectToken.projectToken.error.invalid"):
        stranger.lock.lock_by_user_id(namespace_name=namespace, user_id="u", property_id="p", transaction_id="t")
    with sdk.refuses(NotFound, MISSING):
        sdk.lock.get_mutex_by_user_id(namespace_name=namespace, user_id="u", property_id="p")
