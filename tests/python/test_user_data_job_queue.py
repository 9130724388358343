"""JobQueue: dump, clean and import of a player's jobs and results. BEHAVIOUR U-01 to U-08."""

import pytest

from harness.environment import unique
from harness.jobs import ECHO, FAIL, entry
from harness.sdk import BadRequest, NotFound
from harness.user_data import UserData, check_life_cycle


@pytest.fixture
def data(sdk):
    return UserData(sdk, "jobQueue", sdk.job_queue)


@pytest.fixture
def player(sdk, make_queue, make_scripts):
    """A namespace and a player with a result, a dead letter with its result, a job that failed once, and one that waits."""
    queue, user, scripts = make_queue(), unique("user"), make_scripts()
    echo, fail = scripts.store(ECHO), scripts.store(FAIL)
    jobs = [entry(echo, {"n": 1}), entry(fail, {"status": 400}, 1), entry(fail, {"status": 400}, 9), entry(echo, {})]
    sdk.job_queue.push_by_user_id(namespace_name=queue, user_id=user, jobs=jobs)
    for _ in range(3):
        sdk.job_queue.run_by_user_id(namespace_name=queue, user_id=user)
    return queue, user


def test_life_cycle(sdk, data, player):
    """U-01 to U-08: two jobs, three results, one dead letter."""
    _queue, user = player
    check_life_cycle(sdk, data, (BadRequest, NotFound), user, 6)


def test_jobs_u07(sdk, data, player):
    """U-07: jobs keep names, order and counts; results can be asked for again."""
    queue, user = player
    identity = {"namespace_name": queue, "user_id": user}
    before = [job.to_dict() for job in sdk.job_queue.describe_jobs_by_user_id(**identity).items]
    assert [job["currentRetryCount"] for job in before] == [1, 0]
    archive = data.dump(user)
    assert data.entries(user)[f"jobQueue/{queue}/job.jsonl"] == before
    data.clean(user)
    assert sdk.job_queue.describe_jobs_by_user_id(**identity).items == []
    data.bring(user, archive)
    assert [job.to_dict() for job in sdk.job_queue.describe_jobs_by_user_id(**identity).items] == before
    result = sdk.job_queue.get_job_result_by_user_id(job_name=before[0]["name"], **identity).item
    assert (result.try_number, result.status_code) == (0, 400)
