//! The table of all operations: one row for each name that a client can call.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Access, Declaration, Operation, Router, Service};

/// Index of a row in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u16);

/// Which of the two operations of one declaration a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// The declaration names no user and makes one operation.
    Plain,
    /// The user of the access token; the path says `me`.
    Me,
    /// The user in the path; a time offset token is allowed.
    ByUser,
}

/// One operation as clients call it.
#[derive(Debug)]
pub struct Row {
    /// Its place in the table.
    pub id: RowId,
    /// What was declared.
    pub declaration: &'static Declaration,
    /// Which variant of it.
    pub variant: Variant,
    /// Name of the operation: `lockByUserId`.
    pub name: String,
    /// Path below the service.
    pub path: &'static str,
    /// Policy action: `Gs2Lock:LockByUserId`.
    pub action: String,
    /// Who may call it before any policy.
    pub access: Access,
}

impl Row {
    /// Whether the operation changes something.
    pub fn writes(&self) -> bool {
        self.declaration.method != "GET"
    }

    /// Whether a duplication avoider is honoured: state-changing calls on a player's data (BEHAVIOUR X-01), and those that
    /// are declared `once`.
    pub fn avoids_duplicates(&self) -> bool {
        let Declaration { once, repeatable, .. } = *self.declaration;
        self.writes() && !repeatable && (once || self.variant != Variant::Plain)
    }

    /// Whether this is operation `O`, in whichever variant.
    pub fn is<O: Operation>(&self) -> bool {
        // Constants have no address of their own.
        let Declaration { service, name, .. } = O::DECLARATION;
        self.declaration.service.name == service.name && self.declaration.name == *name
    }

    /// Names of the path parameters.
    pub fn path_params(&self) -> impl Iterator<Item = &'static str> {
        let segments = self.path.split('/');
        let names =
            segments.filter_map(|segment| segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')));
        names.map(|name| name.trim_start_matches('*'))
    }

    /// Template of the resource that policies name: the GRN of the component's model.
    pub fn resource(&self) -> &'static str {
        let resources = self.declaration.service.resources.iter();
        resources
            .clone()
            .find(|(component, _)| *component == self.declaration.component)
            .map_or("", |(_, rest)| rest)
    }
}

/// All operations.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
    router: Router,
    functions: HashMap<(String, String, String), RowId>,
}

impl Table {
    /// Builds the table. A name that is there twice is a mistake in a declaration and panics, at start and in tests.
    pub fn new(services: &[&[&'static Declaration]]) -> Table {
        let mut rows: Vec<Row> = Vec::new();
        for declaration in services.iter().flat_map(|declarations| declarations.iter()) {
            for variant in variants(declaration) {
                let id = RowId(u16::try_from(rows.len()).unwrap_or(u16::MAX));
                rows.push(row(id, declaration, variant));
            }
        }
        let mut functions = HashMap::new();
        for row in &rows {
            for service in socket_names(row.declaration.service) {
                let key = (service.to_owned(), row.declaration.component.to_owned(), row.name.clone());
                let twin = functions.insert(key, row.id);
                assert!(
                    twin.is_none(),
                    "two operations are called {}.{}",
                    row.declaration.service.name,
                    row.name
                );
            }
        }
        Table { router: Router::new(&rows), rows, functions }
    }

    /// All rows, in order of declaration.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One row.
    pub fn row(&self, id: RowId) -> &Row {
        &self.rows[usize::from(id.0)]
    }

    /// The REST routes.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The operation that a socket message names (BEHAVIOUR T-22a).
    pub fn function(&self, service: &str, component: &str, function: &str) -> Option<&Row> {
        let key = (service.to_owned(), component.to_owned(), function.to_owned());
        self.functions.get(&key).map(|id| self.row(*id))
    }

    /// The operation of this name in the service of this name.
    pub fn named(&self, service: &str, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.declaration.service.name == service && row.name == name)
    }
}

/// The names under which SDKs reach a service on the socket: `jobQueue`, and Go's `job_queue`.
fn socket_names(service: &'static Service) -> Vec<&'static str> {
    let mut names = vec![service.name, service.script, service.segment];
    names.sort_unstable();
    names.dedup();
    names
}

fn variants(declaration: &Declaration) -> Vec<Variant> {
    if declaration.player {
        vec![Variant::Me]
    } else if !declaration.path.contains("{userId}") {
        vec![Variant::Plain]
    } else if declaration.is_by_user_only() {
        vec![Variant::ByUser]
    } else {
        vec![Variant::Me, Variant::ByUser]
    }
}

fn row(id: RowId, declaration: &'static Declaration, variant: Variant) -> Row {
    let name = declaration.name_of(variant).into_owned();
    let path = match declaration.path_of(variant) {
        Cow::Borrowed(path) => path,
        // Rows live as long as the program; there is one table.
        Cow::Owned(path) => Box::leak(path.into_boxed_str()),
    };
    let access = match (declaration.anonymous, variant) {
        (true, _) => Access::Anonymous,
        (false, Variant::Me) => Access::Player,
        (false, _) => Access::Project,
    };
    let action = declaration.policy.unwrap_or(&name);
    let mut letters = action.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let action = format!("{}:{first}{}", declaration.service.action, letters.as_str());
    Row { id, declaration, variant, name, path, action, access }
}
