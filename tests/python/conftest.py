"""Fixtures of the behaviour tests. `sdk` runs a test once per transport."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import operations
from harness.chat import Member
from harness.environment import Environment, unique
from harness.gateway import SET_USER_ID_BY_USER_ID, Sessions
from harness.github import Hub
from harness.jobs import Gate, Queue, Scripts
from harness.sdk import NotFound, Sdk, TRANSPORTS, open_sessions, succeeded
from harness.transactions import MODES, Sheet, Shop, transaction_setting
from harness.wire import Rest, Socket


@pytest.fixture(scope="session")
def environment():
    return Environment.load()


@pytest.fixture(scope="session")
def admin(environment):
    """The bootstrap administrator over REST: prepares and cleans up."""
    sdk = Sdk.login(environment, "rest")
    yield sdk
    sdk.close()


@pytest.fixture(scope="session", params=TRANSPORTS)
def sdk(request, environment):
    """The bootstrap administrator over the transport under test."""
    sdk = Sdk.login(environment, request.param)
    yield sdk
    sdk.close()


@pytest.fixture
def rest(environment, admin):
    """Raw HTTP with the administrator's project token."""
    rest = Rest(environment, admin.token)
    yield rest
    rest.close()


@pytest.fixture
def open_socket(environment, admin):
    """Opens raw WebSockets with the administrator's project token."""
    opened = []

    def open_(path="/", token=admin.token):
        opened.append(Socket(environment, path, token))
        return opened[-1]

    yield open_
    for socket in opened:
        socket.close()


@pytest.fixture
def socket(open_socket):
    return open_socket()


def _make_namespaces(service):
    names = []

    def make(name=None, **fields):
        name = name or unique("ns")
        service.create_namespace(name=name, **fields)
        names.append(name)
        return name

    yield make
    for name in names:
        _drop(service.delete_namespace, namespace_name=name)


def _maker(service):
    """A fixture that makes namespaces of a service, which go away with the test."""

    @pytest.fixture
    def make(admin):
        yield from _make_namespaces(getattr(admin, service))

    return make


def _discarder(service):
    """A fixture with a new name for a namespace that the test itself makes; it is deleted afterwards if it exists."""

    @pytest.fixture
    def discard(admin):
        name = unique("ns")
        yield name
        _drop(getattr(admin, service).delete_namespace, namespace_name=name)

    return discard


make_namespace = _maker("lock")
make_gateway = _maker("gateway")
make_queue = _maker("job_queue")
make_chat = _maker("chat")
make_distributor = _maker("distributor")
make_keys = _maker("key")
make_log = _maker("log")

discard_namespace = _discarder("lock")
discard_gateway = _discarder("gateway")
discard_scripts = _discarder("script")
discard_queue = _discarder("job_queue")
discard_chat = _discarder("chat")
discard_distributor = _discarder("distributor")
discard_keys = _discarder("key")
discard_log = _discarder("log")


@pytest.fixture
def namespace(make_namespace):
    return make_namespace()


@pytest.fixture
def gateway(make_gateway):
    """Name of a Gateway namespace."""
    return make_gateway()


@pytest.fixture
def listen(open_sdk, admin):
    """Opens sockets of the SDK that nobody is bound to yet."""
    return lambda: open_sdk("websocket", token=admin.token)


@pytest.fixture
def bound(open_socket, gateway):
    """Opens raw sockets that are bound by user id, and gives them with their sessions."""

    def bound_(user, namespace=gateway, **fields):
        socket = open_socket()
        fields.update(namespaceName=namespace, userId=user)
        return socket, socket.call(SET_USER_ID_BY_USER_ID, fields).ok()["item"]

    return bound_


@pytest.fixture(params=["me", "by_user_id"])
def sessions(request, sdk, make_gateway):
    """Binds sockets to players in a new Gateway namespace."""
    return Sessions(sdk, request.param, make_gateway(), make_gateway())


@pytest.fixture
def make_scripts(admin):
    """Makes Script namespaces that go away with the test."""
    namespaces = _make_namespaces(admin.script)
    make = next(namespaces)
    yield lambda name=None, **fields: Scripts(admin, make(name, **fields))
    next(namespaces, None)


@pytest.fixture
def scripts(make_scripts):
    """Scripts in a namespace of their own."""
    return make_scripts()


@pytest.fixture(params=["me", "by_user_id"])
def queue(request, sdk, make_queue):
    """The queue of one player in a namespace where `run` must be called."""
    return Queue(sdk, make_queue(), request.param)


@pytest.fixture(params=["me", "by_user_id"])
def auto(request, sdk, make_queue):
    """The queue of one player in a namespace where the server runs the jobs."""
    return Queue(sdk, make_queue(enable_auto_run=True), request.param)


@pytest.fixture(params=["me", "by_user_id"])
def member(request, sdk, make_chat):
    """One user in a new namespace of Chat."""
    return Member(sdk, make_chat(), request.param)


@pytest.fixture
def backend(sdk, make_chat):
    """As `member`, for tests of what only the server calls."""
    return Member(sdk, make_chat())


@pytest.fixture
def make_shop(environment, namespace, make_distributor, make_queue, make_scripts):
    """Makes places where scripts make transactions, which run as the given members of the setting say."""

    def make(distributor=None, queue=None, **members):
        distributor, queue = distributor or make_distributor(), queue or make_queue()
        setting = transaction_setting(environment, distributor, queue, **members)
        return Shop(make_scripts(transaction_setting=setting), namespace, distributor, queue)

    return make


@pytest.fixture(params=MODES)
def mode(request):
    """The members of a setting, one after the other of the ways in which transactions run."""
    return MODES[request.param]


@pytest.fixture
def shop(make_shop, mode):
    """A place where transactions run in each of the modes."""
    return make_shop(**mode)


@pytest.fixture
def market(make_shop):
    """A place whose transactions clients run."""
    return make_shop()


@pytest.fixture
def purse(market):
    return market.purse()


@pytest.fixture(params=["namespace", "without namespace"])
def issue(request, sdk, market):
    """Makes a transaction and gives its sheet, to be run in either way (DT-19)."""
    where = market.distributor if request.param == "namespace" else None

    def issue_(purse, verify=(), consume=(), acquire=(), **fields):
        return Sheet(sdk, market.make(purse, verify, consume, acquire, **fields), where)

    return issue_


@pytest.fixture
def trade(issue, purse):
    """The sheet of a player who needs a ticket and pays one coin for one sword."""
    return issue(purse, [purse.has("ticket")], [purse.loses("coin")], [purse.gains("sword")])


@pytest.fixture(scope="session")
def hub(environment, tmp_path_factory):
    """A server of its own that asks a stand-in for GitHub."""
    hub = Hub(environment, tmp_path_factory.mktemp("hub"))
    yield hub
    hub.close()


@pytest.fixture(params=TRANSPORTS)
def hub_sdk(request, hub):
    """The administrator of that server over the transport under test."""
    return hub.sdks[request.param]


@pytest.fixture
def gate(admin, namespace):
    return Gate(admin, namespace)


@pytest.fixture
def threads():
    """For calls that are made while others wait. A session of the SDK is for one thread at a time."""
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture(params=TRANSPORTS)
def dry(request, rest, socket):
    """Raw calls with the dry run switch of the transport (T-14)."""
    if request.param == "rest":
        return lambda operation, fields, switch="true": rest.call(operation, fields, {"X-GS2-DRY-RUN": switch})
    return lambda operation, fields, switch="true": socket.call(operation, fields, xGs2DryRun=switch)


@pytest.fixture
def make_user(admin):
    """Makes Identifier users that go away with the test."""
    names = []

    def make(name=None, policies=(), **fields):
        name = name or unique("user")
        admin.identifier.create_user(name=name, **fields)
        names.append(name)
        for grn in policies:
            admin.identifier.attach_security_policy(user_name=name, security_policy_id=grn)
        return name

    yield make
    for name in names:
        _drop(admin.identifier.delete_user, user_name=name)


@pytest.fixture
def user(make_user):
    return make_user()


@pytest.fixture
def make_policy(admin):
    """Makes security policies that go away with the test and gives their items."""
    names = []

    def make(text, name=None, **fields):
        item = admin.identifier.create_security_policy(name=name or unique("policy"), policy=text, **fields).item
        names.append(item.name)
        return item

    yield make
    for name in names:
        _drop(admin.identifier.delete_security_policy, security_policy_name=name)


@pytest.fixture
def open_sdk(environment):
    """Opens further sessions of the SDK that end with the test."""
    opened = []

    def open_(transport, client_id=None, client_secret=None, token=None):
        if token is not None:
            opened.append(Sdk.with_token(environment, transport, token))
        else:
            opened.append(Sdk.login(environment, transport, client_id, client_secret))
        return opened[-1]

    yield open_
    for session in opened:
        session.close()


@pytest.fixture
def sign_in(sdk, admin, make_user, make_policy, open_sdk):
    """Signs in a new user with these policies (texts or GRNs) over the transport under test."""

    def sign_in_(*policies):
        grns = [p if p.startswith("grn:") else make_policy(p).security_policy_id for p in policies]
        name = make_user(policies=grns)
        made = admin.identifier.create_identifier(user_name=name)
        return open_sdk(sdk.transport, made.item.client_id, made.client_secret)

    return sign_in_


def _drop(delete, **named):
    try:
        delete(**named)
    except NotFound:
        pass


def pytest_sessionfinish(session, exitstatus):
    """A run of everything must have seen each operation succeed over both transports."""
    for sdk in list(open_sessions):
        sdk.close()
    config = session.config
    partial = config.option.keyword or config.option.collectonly or any(".py" in arg for arg in config.args)
    if partial or exitstatus != 0:
        return
    missing = [
        f"{operation} over {transport}"
        for operation in operations.ALL for transport in TRANSPORTS
        if (transport, operation.service, operation.snake) not in succeeded
    ]
    if missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nnever succeeded: " + ", ".join(missing))
