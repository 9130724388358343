//! Every request type reads what it writes: any request that keeps its limits goes through the flat object and back
//! unchanged, also in the habits of the SDKs (`core.json`: numbers and booleans as text).

use hiroba_api::contract::{Credentials, FieldInfo, Fields, Kind, Operation, Row, Table, Variant, decode};
use hiroba_api::{auth, chat, distributor, gateway, identifier, job_queue, key, lock, log, script};
use hiroba_testkit::Random;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

/// Requests of each type.
const CASES: u32 = 64;

/// A runner of property tests whose seed is printed. The variable `HIROBA_TEST_CASES` asks for another number of cases.
pub(crate) fn runner(cases: u32) -> TestRunner {
    let mut random = Random::new();
    let wanted = std::env::var("HIROBA_TEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let cases = wanted.unwrap_or(cases);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &random.bytes(32)))
}

/// Values that keep the limits of a field.
fn valid(kind: &Kind, range: Option<(i64, i64)>) -> BoxedStrategy<Value> {
    let (min, max) = range.unwrap_or((0, i64::MAX));
    match kind {
        Kind::String => {
            let (min, max) = (usize::try_from(min).unwrap(), usize::try_from(max.clamp(1, 40)).unwrap());
            // What names may hold, so that every text type takes it; never the text `null`.
            let letters = vec(prop::sample::select("abcXYZ019-_.".chars().collect::<Vec<_>>()), min..=max);
            letters.prop_map(|letters| letters.into_iter().collect::<String>().into()).boxed()
        }
        Kind::Int => {
            let (min, max) = range.unwrap_or((i32::MIN.into(), i32::MAX.into()));
            (min..=max).prop_map(Value::from).boxed()
        }
        Kind::Long => {
            let (min, max) = range.unwrap_or((i64::MIN, i64::MAX));
            (min..=max).prop_map(Value::from).boxed()
        }
        Kind::Double => (-1e9..1e9).prop_map(Value::from).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Any => Just(Value::Bool(true)).boxed(),
        Kind::List(element) => {
            let (min, max) = (usize::try_from(min).unwrap(), usize::try_from(max.clamp(1, 5)).unwrap());
            vec(valid(&element.kind, element.range), min..=max).prop_map(Value::from).boxed()
        }
        Kind::Model { fields, .. } => object(fields.clone()).prop_map(Value::Object).boxed(),
    }
}

fn words(words: &[&str]) -> BoxedStrategy<Value> {
    prop::sample::select(words.iter().map(|word| json!(word)).collect::<Vec<_>>()).boxed()
}

fn object(infos: Vec<FieldInfo>) -> impl Strategy<Value = Fields> {
    let members = infos.into_iter().map(|info| {
        let value = match info.name {
            // Texts that are more than letters, or only certain words.
            "firebaseSecret" => {
                let account = r#"{"project_id":"p","client_email":"e","private_key":"k"}"#;
                words(&["", account])
            }
            "enable" => words(&["Enabled", "Disabled"]),
            "rejectAccessTokenPost" => words(&["Enabled", "Disabled"]),
            "doneTriggerTargetType" => words(&["none", "gs2_script", "aws"]),
            "mode" => words(&["direct", "preUpload"]),
            "transactionId" if info.shape.range == Some((36, 36)) => {
                words(&["01234567-89ab-cdef-0123-456789abcdef"])
            }
            // The words of three types, which their limits tell apart.
            "type" => match info.shape.range {
                Some((_, 8)) => words(&["count", "unique", "sum", "avg", "max", "min", "p90", "p95", "p99"]),
                Some((_, 16)) => words(&["gs2"]),
                _ => words(&["string", "double", "measure"]),
            },
            "orderBy" => words(&["asc", "desc"]),
            "referenceType" => words(&["commit_hash", "branch", "tag"]),
            _ => valid(&info.shape.kind, info.shape.range),
        };
        let absent = if info.shape.optional { 1 } else { 0 };
        let value = prop_oneof![absent => Just(None), 3 => value.prop_map(Some)];
        value.prop_map(move |value| Some((info.name.to_owned(), value?)))
    });
    members.collect::<Vec<_>>().prop_map(|members| members.into_iter().flatten().collect())
}

/// Numbers and booleans as C# sends them at top level.
fn as_text(fields: &Fields) -> Fields {
    let text = |value: &Value| match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(flag) => Value::String(if *flag { "True" } else { "False" }.to_owned()),
        other => other.clone(),
    };
    fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn read<O: Operation>(
    row: &Row,
    mut fields: Fields,
) -> Result<(O, hiroba_api::contract::Subject), TestCaseError> {
    if row.variant == Variant::ByUser {
        fields.entry("userId").or_insert_with(|| "alice".into());
    }
    let credentials = Credentials { access_token: Some("token".to_owned()), ..Credentials::default() };
    match decode::<O>(row, fields.clone(), &credentials) {
        Ok(decoded) => Ok((decoded.request, decoded.subject)),
        Err(error) => Err(TestCaseError::fail(format!("{}: {error} in {}", row.name, Value::Object(fields)))),
    }
}

fn check<O: Operation>(table: &Table, seen: &mut Vec<(&'static str, &'static str)>) {
    let named = (O::DECLARATION.service.name, O::DECLARATION.name);
    let rows =
        table.rows().iter().filter(|row| (row.declaration.service.name, row.declaration.name) == named);
    let rows: Vec<&Row> = rows.collect();
    assert!(!rows.is_empty(), "{}.{} is not in the table", named.0, named.1);
    seen.push(named);
    for row in rows {
        let property = |fields: Fields| {
            let (first, subject) = read::<O>(row, fields.clone())?;
            let mut written = Fields::new();
            first.write(&mut written);
            for again in [written.clone(), as_text(&written), as_text(&fields)] {
                let (again, again_subject) = read::<O>(row, again)?;
                prop_assert_eq!(format!("{first:?}"), format!("{again:?}"));
                prop_assert_eq!(&subject, &again_subject);
                let mut rewritten = Fields::new();
                again.write(&mut rewritten);
                prop_assert_eq!(&written, &rewritten);
            }
            Ok(())
        };
        let outcome = runner(CASES).run(&object(O::describe()), property);
        outcome.unwrap_or_else(|error| panic!("{}: {error}", row.name));
    }
}

#[test]
fn what_is_written_reads_the_same() {
    let table = hiroba_api::table();
    let mut seen = Vec::new();
    macro_rules! all {
        ($($service:ident: $($name:ident)+;)+) => { $($(check::<$service::$name>(&table, &mut seen);)+)+ };
    }
    all! {
        identifier: DescribeUsers CreateUser UpdateUser GetUser DeleteUser DescribeSecurityPolicies
            DescribeCommonSecurityPolicies CreateSecurityPolicy UpdateSecurityPolicy GetSecurityPolicy
            DeleteSecurityPolicy DescribeIdentifiers CreateIdentifier GetIdentifier DeleteIdentifier
            DescribeAttachedGuards AttachGuard DetachGuard GetServiceVersion CreatePassword GetPassword
            DescribePasswords EnableMfa ChallengeMfa DisableMfa DeletePassword GetHasSecurityPolicy
            AttachSecurityPolicy DetachSecurityPolicy Login LoginByUser;
        auth: Login LoginBySignature Federation IssueTimeOffsetTokenByUserId GetServiceVersion;
        gateway: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeWebSocketSessions SetUserId SendNotification DisconnectByUserId DisconnectAll
            GetWebSocketSession GetWebSocketSessionByConnectionId SetFirebaseToken GetFirebaseToken
            DeleteFirebaseToken SendMobileNotificationByUserId DumpUserDataByUserId CheckDumpUserDataByUserId CleanUserDataByUserId
            CheckCleanUserDataByUserId PrepareImportUserDataByUserId ImportUserDataByUserId CheckImportUserDataByUserId;
        job_queue: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeJobsByUserId GetJobByUserId PushByUserId Run DeleteJob PushByStampSheet
            DeleteByStampTask GetJobResult DescribeDeadLetterJobsByUserId GetDeadLetterJobByUserId
            DeleteDeadLetterJobByUserId DumpUserDataByUserId CheckDumpUserDataByUserId CleanUserDataByUserId
            CheckCleanUserDataByUserId PrepareImportUserDataByUserId ImportUserDataByUserId CheckImportUserDataByUserId;
        chat: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeRooms CreateRoom CreateRoomFromBackend GetRoom UpdateRoom UpdateRoomFromBackend
            DeleteRoom DeleteRoomFromBackend DescribeMessages DescribeMessagesByUserId DescribeLatestMessages
            DescribeLatestMessagesByUserId Post GetMessage GetMessageByUserId DeleteMessage DescribeSubscribes
            DescribeSubscribesByRoomName SubscribeRoom GetSubscribe UpdateNotificationType Unsubscribe
            DescribeCategoryModels GetCategoryModel DescribeCategoryModelMasters CreateCategoryModelMaster
            GetCategoryModelMaster UpdateCategoryModelMaster DeleteCategoryModelMaster ExportMaster
            GetCurrentModelMaster PreUpdateCurrentModelMaster UpdateCurrentModelMaster
            UpdateCurrentModelMasterFromGitHub DumpUserDataByUserId CheckDumpUserDataByUserId CleanUserDataByUserId
            CheckCleanUserDataByUserId PrepareImportUserDataByUserId ImportUserDataByUserId CheckImportUserDataByUserId;
        script: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeScripts CreateScript CreateScriptFromGitHub GetScript UpdateScript
            UpdateScriptFromGitHub DeleteScript InvokeScript DebugInvoke InvokeByStampSheet;
        distributor: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeDistributorModelMasters CreateDistributorModelMaster GetDistributorModelMaster
            UpdateDistributorModelMaster DeleteDistributorModelMaster DescribeDistributorModels GetDistributorModel
            ExportMaster GetCurrentDistributorMaster PreUpdateCurrentDistributorMaster UpdateCurrentDistributorMaster
            UpdateCurrentDistributorMasterFromGitHub Distribute DistributeWithoutOverflowProcess RunVerifyTask
            RunStampTask RunStampSheet RunStampSheetExpress RunVerifyTaskWithoutNamespace
            RunStampTaskWithoutNamespace RunStampSheetWithoutNamespace RunStampSheetExpressWithoutNamespace
            SetTransactionDefaultConfig FreezeMasterData SignFreezeMasterDataTimestamp
            FreezeMasterDataBySignedTimestamp FreezeMasterDataByTimestamp BatchExecuteApi IfExpressionByUserId
            AndExpressionByUserId OrExpressionByUserId IfExpressionByStampTask AndExpressionByStampTask
            OrExpressionByStampTask GetStampSheetResult DescribeUserData RunTransaction GetTransactionResult;
        key: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeKeys CreateKey UpdateKey GetKey DeleteKey Encrypt Decrypt DescribeGitHubApiKeys
            CreateGitHubApiKey UpdateGitHubApiKey GetGitHubApiKey DeleteGitHubApiKey;
        lock: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion DescribeMutexes Lock Unlock GetMutex DeleteMutexByUserId;
        log: DescribeNamespaces CreateNamespace GetNamespaceStatus GetNamespace UpdateNamespace DeleteNamespace
            GetServiceVersion QueryAccessLog CountAccessLog QueryIssueStampSheetLog CountIssueStampSheetLog
            QueryExecuteStampSheetLog CountExecuteStampSheetLog QueryExecuteStampTaskLog CountExecuteStampTaskLog
            QueryInGameLog SendInGameLog QueryAccessLogWithTelemetry DescribeInsights CreateInsight GetInsight
            DeleteInsight DescribeFacetModels CreateFacetModel GetFacetModel UpdateFacetModel DeleteFacetModel
            DescribeDashboards CreateDashboard GetDashboard UpdateDashboard DuplicateDashboard DeleteDashboard QueryLog
            GetLog QueryFacets QueryTimeseries GetTrace QueryMetricsTimeseries DescribeMetrics DescribeLabelValues
            PutLog;
    }
    for row in table.rows() {
        let name = (row.declaration.service.name, row.declaration.name);
        assert!(seen.contains(&name), "{}.{} is missing in this test", name.0, name.1);
    }
}
