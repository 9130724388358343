//! Transactions that were issued, and their parts that were executed (BEHAVIOUR LG-09).

use std::sync::Arc;

use hiroba_api::contract::UnixMillis;
use hiroba_api::log::{
    CountExecuteStampSheetLog, CountExecuteStampTaskLog, CountIssueStampSheetLog, ExecuteStampSheetLog,
    ExecuteStampSheetLogCount, ExecuteStampTaskLog, ExecuteStampTaskLogCount, Found, IssueStampSheetLog,
    IssueStampSheetLogCount, QueryExecuteStampSheetLog, QueryExecuteStampTaskLog, QueryIssueStampSheetLog,
};
use hiroba_api::names::UserId;

use super::access::{Apart, Choice, Counting, Group, user};
use super::find::{Pages, wanted};
use crate::cx::Cx;
use crate::error::Error;
use crate::logs::{Entry, Kind};
use crate::registry::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.call(query_issue_stamp_sheet_log);
    registry.call(count_issue_stamp_sheet_log);
    registry.call(query_execute_stamp_sheet_log);
    registry.call(count_execute_stamp_sheet_log);
    registry.call(query_execute_stamp_task_log);
    registry.call(count_execute_stamp_task_log);
}

/// The query of a request, and the count of one: the three kinds differ in nothing but their names.
macro_rules! pages {
    ($request:expr, $component:literal, $kind:ident, $make:expr) => {{
        let request = $request;
        let choice = Choice {
            service: wanted(request.service.as_deref()),
            method: wanted(request.method.as_deref()),
            user: wanted(request.user_id.as_deref()),
            action: wanted(request.action.as_deref()),
        };
        Pages {
            namespace: &request.namespace_name,
            component: $component,
            kind: Kind::$kind,
            begin: request.begin,
            end: request.end,
            token: request.page_token.as_ref(),
            limit: request.limit,
            terms: choice.terms(),
            filter: choice.filter(),
            make: $make,
        }
    }};
}

macro_rules! counting {
    ($request:expr, $component:literal, $kind:ident) => {{
        let request = $request;
        Counting {
            namespace: &request.namespace_name,
            component: $component,
            kind: Kind::$kind,
            begin: request.begin,
            end: request.end,
            token: request.page_token.as_ref(),
            limit: request.limit,
            apart: Apart {
                service: request.service,
                method: request.method,
                user: request.user_id,
                action: request.action,
            },
        }
    }};
}

fn issue_stamp_sheet_log(entry: &Entry<'_>) -> IssueStampSheetLog {
    IssueStampSheetLog {
        timestamp: UnixMillis(entry.at),
        transaction_id: entry.id.to_owned(),
        service: entry.service.to_owned(),
        method: entry.method.to_owned(),
        user_id: user(entry.user),
        action: entry.action.to_owned(),
        args: entry.request.to_owned(),
        tasks: entry.list.iter().map(|(task, _)| (*task).to_owned()).collect(),
    }
}

async fn query_issue_stamp_sheet_log(
    cx: Arc<Cx>,
    request: Arc<QueryIssueStampSheetLog>,
) -> Result<Found<IssueStampSheetLog>, Error> {
    pages!(&request, "issueStampSheetLog", IssuedSheet, issue_stamp_sheet_log).find(&cx).await
}

async fn count_issue_stamp_sheet_log(
    cx: Arc<Cx>,
    request: Arc<CountIssueStampSheetLog>,
) -> Result<Found<IssueStampSheetLogCount>, Error> {
    let make = |group: Group| IssueStampSheetLogCount {
        service: group.service,
        method: group.method,
        user_id: group.user.map(UserId::trusted),
        action: group.action,
        count: group.count,
    };
    counting!(&request, "issueStampSheetLog", IssuedSheet).count(&cx, make).await
}

fn execute_stamp_sheet_log(entry: &Entry<'_>) -> ExecuteStampSheetLog {
    ExecuteStampSheetLog {
        timestamp: UnixMillis(entry.at),
        transaction_id: entry.id.to_owned(),
        service: entry.service.to_owned(),
        method: entry.method.to_owned(),
        user_id: user(entry.user),
        action: entry.action.to_owned(),
        args: entry.request.to_owned(),
    }
}

async fn query_execute_stamp_sheet_log(
    cx: Arc<Cx>,
    request: Arc<QueryExecuteStampSheetLog>,
) -> Result<Found<ExecuteStampSheetLog>, Error> {
    pages!(&request, "executeStampSheetLog", ExecutedSheet, execute_stamp_sheet_log).find(&cx).await
}

async fn count_execute_stamp_sheet_log(
    cx: Arc<Cx>,
    request: Arc<CountExecuteStampSheetLog>,
) -> Result<Found<ExecuteStampSheetLogCount>, Error> {
    let make = |group: Group| ExecuteStampSheetLogCount {
        service: group.service,
        method: group.method,
        user_id: group.user.map(UserId::trusted),
        action: group.action,
        count: group.count,
    };
    counting!(&request, "executeStampSheetLog", ExecutedSheet).count(&cx, make).await
}

fn execute_stamp_task_log(entry: &Entry<'_>) -> ExecuteStampTaskLog {
    ExecuteStampTaskLog {
        timestamp: UnixMillis(entry.at),
        task_id: entry.id.to_owned(),
        service: entry.service.to_owned(),
        method: entry.method.to_owned(),
        user_id: user(entry.user),
        action: entry.action.to_owned(),
        args: entry.request.to_owned(),
    }
}

async fn query_execute_stamp_task_log(
    cx: Arc<Cx>,
    request: Arc<QueryExecuteStampTaskLog>,
) -> Result<Found<ExecuteStampTaskLog>, Error> {
    pages!(&request, "executeStampTaskLog", ExecutedTask, execute_stamp_task_log).find(&cx).await
}

async fn count_execute_stamp_task_log(
    cx: Arc<Cx>,
    request: Arc<CountExecuteStampTaskLog>,
) -> Result<Found<ExecuteStampTaskLogCount>, Error> {
    let make = |group: Group| ExecuteStampTaskLogCount {
        service: group.service,
        method: group.method,
        user_id: group.user.map(UserId::trusted),
        action: group.action,
        count: group.count,
    };
    counting!(&request, "executeStampTaskLog", ExecutedTask).count(&cx, make).await
}
