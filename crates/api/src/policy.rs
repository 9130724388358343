//! Policy documents and their evaluation (BEHAVIOUR I-08 … I-13).

use serde_json::Value;

use crate::contract::Table;

/// The only version of policy documents.
const VERSION: &str = "2016-04-01";

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits.
    Allow,
    /// Forbids, whatever else permits.
    Deny,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    actions: Vec<Pattern>,
    resources: Vec<Pattern>,
}

/// A text that may end with the only wildcard, `*` (BEHAVIOUR I-09, I-10).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    prefix: bool,
}

impl Pattern {
    fn parse(text: &str) -> Option<Pattern> {
        let (text, prefix) = match text.strip_suffix('*') {
            Some(text) => (text, true),
            None => (text, false),
        };
        (!text.contains('*') && (prefix || !text.is_empty()))
            .then(|| Pattern { text: text.to_owned(), prefix })
    }

    fn matches(&self, text: &str) -> bool {
        if self.prefix { text.starts_with(&self.text) } else { text == self.text }
    }

    fn matches_all(&self) -> bool {
        self.prefix && self.text.is_empty()
    }
}

/// A parsed policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    statements: Vec<Statement>,
}

impl PolicyDocument {
    /// Parses `{"Version": "2016-04-01", "Statements": [{"Effect", "Actions", "Resources"}]}`.
    ///
    /// Fails with a sentence that says what is wrong. Unknown members are ignored; `Resources` may be left out and
    /// then means all.
    pub fn parse(text: &str) -> Result<PolicyDocument, String> {
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("the policy is no JSON: {error}"))?;
        let Value::Object(document) = document else { return Err("the policy is no JSON object".to_owned()) };
        match document.get("Version") {
            None => {}
            Some(Value::String(version)) if version == VERSION => {}
            Some(_) => return Err(format!("`Version` must be \"{VERSION}\"")),
        }
        // The first generation wrote one statement under the singular name.
        let statements = document.get("Statements").or_else(|| document.get("Statement"));
        let Some(Value::Array(statements)) = statements else {
            return Err("`Statements` must be a list".to_owned());
        };
        let statements = statements.iter().enumerate().map(|(index, statement)| {
            Statement::parse(statement).map_err(|wrong| format!("statement {index}: {wrong}"))
        });
        Ok(PolicyDocument { statements: statements.collect::<Result<_, _>>()? })
    }
}

impl Statement {
    fn parse(statement: &Value) -> Result<Statement, String> {
        let effect = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err("`Effect` must be \"Allow\" or \"Deny\"".to_owned()),
        };
        let actions = patterns(statement, "Actions")?;
        let actions = actions.ok_or("`Actions` must be a list of texts")?;
        let resources = patterns(statement, "Resources")?;
        let resources = resources.unwrap_or_else(|| vec![Pattern { text: String::new(), prefix: true }]);
        Ok(Statement { effect, actions, resources })
    }
}

fn patterns(statement: &Value, member: &str) -> Result<Option<Vec<Pattern>>, String> {
    let Some(value) = statement.get(member) else { return Ok(None) };
    let wrong = || format!("`{member}` must be a list of texts, `*` only at the end of one");
    let elements = value.as_array().ok_or_else(wrong)?;
    let patterns: Option<Vec<Pattern>> =
        elements.iter().map(|element| element.as_str().and_then(Pattern::parse)).collect();
    patterns.map(Some).ok_or_else(wrong)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Denied,
    /// Some statement about this action names resources.
    ByResource,
}

/// The policies of one caller, prepared for the operations of a table: most decisions are one look-up.
#[derive(Debug)]
pub struct Permissions {
    documents: Vec<PolicyDocument>,
    verdicts: Vec<Verdict>,
}

impl Permissions {
    /// Prepares the decision for each operation.
    pub fn new(documents: Vec<PolicyDocument>, table: &Table) -> Permissions {
        let verdicts = table.rows().iter().map(|row| verdict(&documents, &row.action)).collect();
        Permissions { documents, verdicts }
    }

    /// Whether operation number `row` with this action may be called on the resource, which is computed only when some
    /// policy names resources. Default deny; a matching Deny wins (BEHAVIOUR I-11).
    pub fn permit(
        &self,
        row: crate::contract::RowId,
        action: &str,
        resource: impl FnOnce() -> String,
    ) -> bool {
        match self.verdicts.get(usize::from(row.0)) {
            Some(Verdict::Allowed) => true,
            Some(Verdict::ByResource) => self.decide(action, &resource()),
            _ => false,
        }
    }

    fn decide(&self, action: &str, resource: &str) -> bool {
        let mut allowed = false;
        for statement in statements(&self.documents, action) {
            if statement.resources.iter().any(|pattern| pattern.matches(resource)) {
                match statement.effect {
                    Effect::Deny => return false,
                    Effect::Allow => allowed = true,
                }
            }
        }
        allowed
    }
}

fn statements<'d>(documents: &'d [PolicyDocument], action: &'d str) -> impl Iterator<Item = &'d Statement> {
    documents
        .iter()
        .flat_map(|document| &document.statements)
        .filter(move |statement| statement.actions.iter().any(|pattern| pattern.matches(action)))
}

fn verdict(documents: &[PolicyDocument], action: &str) -> Verdict {
    let mut by_resource = false;
    let mut allowed = false;
    for statement in statements(documents, action) {
        match (statement.resources.iter().any(Pattern::matches_all), statement.effect) {
            (true, Effect::Deny) => return Verdict::Denied,
            (true, Effect::Allow) => allowed = true,
            (false, _) => by_resource = true,
        }
    }
    match (by_resource, allowed) {
        (true, _) => Verdict::ByResource,
        (false, true) => Verdict::Allowed,
        (false, false) => Verdict::Denied,
    }
}

/// A built-in policy, owned by `system` (BEHAVIOUR I-12).
#[derive(Debug)]
pub struct CommonPolicy {
    /// Name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    actions: &'static [&'static str],
}

impl CommonPolicy {
    /// The built-in policy of this name.
    pub fn named(name: &str) -> Option<&'static CommonPolicy> {
        COMMON_POLICIES.iter().find(|policy| policy.name == name)
    }

    /// The document.
    pub fn document(&self) -> String {
        serde_json::json!({
            "Version": VERSION,
            "Statements": [{ "Effect": "Allow", "Actions": self.actions, "Resources": ["*"] }],
        })
        .to_string()
    }
}

/// The built-in policies by name, ascending.
pub const COMMON_POLICIES: &[CommonPolicy] = &[
    CommonPolicy { name: "AdministratorAccess", description: "Every operation.", actions: &["*"] },
    CommonPolicy {
        name: "ApplicationAccess",
        description: "For the client that players have: operations with which nobody can cheat.",
        actions: &[
            "Gs2Auth:LoginBySignature",
            "Gs2Auth:GetServiceVersion",
            "Gs2Chat:CreateRoom",
            "Gs2Chat:DeleteRoom",
            "Gs2Chat:DescribeCategoryModels",
            "Gs2Chat:DescribeLatestMessages",
            "Gs2Chat:DescribeMessages",
            "Gs2Chat:DescribeRooms",
            "Gs2Chat:DescribeSubscribes",
            "Gs2Chat:GetCategoryModel",
            "Gs2Chat:GetMessage",
            "Gs2Chat:GetRoom",
            "Gs2Chat:GetServiceVersion",
            "Gs2Chat:GetSubscribe",
            "Gs2Chat:Post",
            "Gs2Chat:Subscribe",
            "Gs2Chat:Unsubscribe",
            "Gs2Chat:UpdateNotificationType",
            "Gs2Chat:UpdateRoom",
            "Gs2Distributor:BatchExecuteApi",
            "Gs2Distributor:DescribeDistributorModels",
            "Gs2Distributor:FreezeMasterData",
            "Gs2Distributor:FreezeMasterDataBySignedTimestamp",
            "Gs2Distributor:GetDistributorModel",
            "Gs2Distributor:GetServiceVersion",
            "Gs2Distributor:GetStampSheetResult",
            "Gs2Distributor:GetTransactionResult",
            "Gs2Distributor:RunStampSheet",
            "Gs2Distributor:RunStampSheetExpress",
            "Gs2Distributor:RunStampSheetExpressWithoutNamespace",
            "Gs2Distributor:RunStampSheetWithoutNamespace",
            "Gs2Distributor:RunStampTask",
            "Gs2Distributor:RunStampTaskWithoutNamespace",
            "Gs2Distributor:RunVerifyTask",
            "Gs2Distributor:RunVerifyTaskWithoutNamespace",
            "Gs2Distributor:SetTransactionDefaultConfig",
            "Gs2Gateway:DeleteFirebaseToken",
            "Gs2Gateway:DescribeWebSocketSessions",
            "Gs2Gateway:GetFirebaseToken",
            "Gs2Gateway:SetFirebaseToken",
            "Gs2Gateway:SetUserId",
            "Gs2Identifier:GetServiceVersion",
            "Gs2JobQueue:GetJobResult",
            "Gs2JobQueue:GetServiceVersion",
            "Gs2JobQueue:Run",
            "Gs2Lock:DescribeMutexes",
            "Gs2Lock:GetMutex",
            "Gs2Lock:GetServiceVersion",
            "Gs2Lock:Lock",
            "Gs2Lock:Unlock",
            "Gs2Log:GetServiceVersion",
            "Gs2Log:SendInGameLog",
        ],
    },
    CommonPolicy {
        name: "DeliveryAccess",
        description: "What Distributor needs to deliver what a player cannot take at once.",
        actions: &["Gs2Inbox:SendMessageByUserId", "Gs2JobQueue:PushByUserId", "Gs2Script:InvokeScript"],
    },
    CommonPolicy {
        name: "UnauthenticatedAccess",
        description: "What is needed up to the login.",
        actions: &[
            "Gs2Auth:GetServiceVersion",
            "Gs2Auth:LoginBySignature",
            "Gs2Identifier:GetServiceVersion",
            "Gs2Identifier:Login",
            "Gs2Identifier:LoginByUser",
            "Gs2Lock:GetServiceVersion",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn document(statements: &Value) -> PolicyDocument {
        let text = serde_json::json!({ "Version": VERSION, "Statements": statements }).to_string();
        PolicyDocument::parse(&text).unwrap()
    }

    fn check(statements: &Value, name: &str, resource: &str, expected: bool) {
        let table = crate::table();
        let permissions = Permissions::new(vec![document(statements)], &table);
        let row = table.named("lock", name).unwrap();
        let permitted = permissions.permit(row.id, &row.action, || resource.to_owned());
        assert_eq!(permitted, expected, "{statements} {name} {resource}");
    }

    #[test]
    fn default_deny_and_deny_wins() {
        use serde_json::json;
        let allow = json!({ "Effect": "Allow", "Actions": ["*"], "Resources": ["*"] });
        check(&json!([]), "lock", "x", false);
        check(&json!([allow]), "lock", "x", true);
        check(
            &json!([{ "Effect": "Allow", "Actions": ["Gs2Lock:Lock*"], "Resources": ["*"] }]),
            "lockByUserId",
            "x",
            true,
        );
        check(
            &json!([{ "Effect": "Allow", "Actions": ["Gs2Lock:Lock"], "Resources": ["*"] }]),
            "lockByUserId",
            "x",
            false,
        );
        check(
            &json!([{ "Effect": "Deny", "Actions": ["Gs2Lock:Lock"], "Resources": ["*"] }, allow]),
            "lock",
            "x",
            false,
        );
        check(
            &json!([{ "Effect": "Deny", "Actions": ["Gs2Lock:Lock"], "Resources": ["a*"] }, allow]),
            "lock",
            "ab",
            false,
        );
        check(
            &json!([{ "Effect": "Deny", "Actions": ["Gs2Lock:Lock"], "Resources": ["a*"] }, allow]),
            "lock",
            "b",
            true,
        );
        check(
            &json!([{ "Effect": "Allow", "Actions": ["Gs2Lock:Lock"], "Resources": ["a"] }]),
            "lock",
            "ab",
            false,
        );
    }

    #[test]
    fn wrong_documents() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"Version":"2012-10-17","Statements":[]}"#,
            r#"{"Statements":[{"Effect":"Maybe","Actions":["*"]}]}"#,
            r#"{"Statements":[{"Effect":"Allow"}]}"#,
            r#"{"Statements":[{"Effect":"Allow","Actions":["Gs2*:Lock"]}]}"#,
            r#"{"Statements":[{"Effect":"Allow","Actions":[1]}]}"#,
            r#"{"Statements":[{"Effect":"Allow","Actions":["*"],"Resources":"*"}]}"#,
        ] {
            assert!(PolicyDocument::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn common_policies_are_documents() {
        for policy in COMMON_POLICIES {
            PolicyDocument::parse(&policy.document()).unwrap();
        }
        assert!(COMMON_POLICIES.is_sorted_by_key(|policy| policy.name));
    }
}
