//! Opening the database: migrations, then workers. Workers connect when they are first needed.

use std::sync::Arc;

use postgres::Client;

use super::{
    causes,
    connect::Connector,
    engine_error,
    hot::HotKeys,
    session::{Access, PgSession},
    worker::Worker,
};
use crate::{
    config::{Engine, Observer, PostgresConfig},
    dialect::translate,
    error::StoreError,
    migration::{self, Applied, Migration, Target, fnv1a},
    running::{Running, spawn},
};

/// The store's own tables.
const OWN: &[Migration] = &[Migration {
    version: 1,
    name: "revision sequence",
    sql: "CREATE SEQUENCE hiroba_revision; \
          CREATE FUNCTION hiroba_next_revision() RETURNS BIGINT LANGUAGE sql VOLATILE \
          AS 'SELECT nextval(''hiroba_revision'')';",
}];

/// Brings the database up to date and starts the threads.
pub(crate) fn open(
    config: &PostgresConfig,
    migrations: &[Migration],
    observer: &Arc<dyn Observer>,
) -> Result<Running, StoreError> {
    let connector = Arc::new(Connector::new(config)?);
    // On a thread of its own: the client blocks on a runtime inside itself, which panics if this is called from one.
    std::thread::scope(|scope| {
        scope.spawn(|| migrate(&connector, migrations)).join().unwrap_or(Err(StoreError::Panicked))
    })?;

    let mut running = Running::new();
    let hot = Arc::new(HotKeys::default());
    let groups = [
        (Access::Write, config.writers, "write", &running.write),
        (Access::Read, config.readers, "read", &running.read),
    ];
    let mut threads = Vec::new();
    for (access, count, name, queue) in groups {
        for number in 0..count.max(1) {
            let worker = Worker { queue: Arc::clone(queue), access, observer: Arc::clone(observer) };
            let session = PgSession::new(Arc::clone(&connector), Arc::clone(&hot), access);
            threads.push(spawn(format!("store-{name}-{number}"), queue, move || worker.run(session))?);
        }
    }
    running.threads = threads;
    Ok(running)
}

fn migrate(connector: &Connector, migrations: &[Migration]) -> Result<(), StoreError> {
    let mut client = connector.connect()?;
    // Nodes that start at the same time apply one after the other. The lock goes with the connection.
    lock(&mut client, connector)?;
    // A role without the right to create schemas can use one that exists; a `search_path` may name one that does not.
    if let Some(schema) = connector.schema()
        && !schema_exists(&mut client)?
    {
        let sql = format!("CREATE SCHEMA {schema}");
        client.batch_execute(&sql).map_err(|error| engine_error(&error, &sql))?;
    }
    migration::migrate(&mut Database { client: &mut client, connector }, OWN, migrations)?;
    client.close().map_err(|error| StoreError::Unavailable(causes(&error)))
}

fn lock(client: &mut Client, connector: &Connector) -> Result<(), StoreError> {
    let schema = connector.schema().unwrap_or_default();
    let key = fnv1a("hiroba migration ".bytes().chain(schema.bytes())).cast_signed();
    client
        .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
        .map_err(|error| engine_error(&error, "pg_advisory_lock"))
}

/// Whether the session's schema exists.
fn schema_exists(client: &mut Client) -> Result<bool, StoreError> {
    client
        .query_one("SELECT current_schema() IS NOT NULL", &[])
        .and_then(|row| row.try_get(0))
        .map_err(|error| engine_error(&error, "current_schema"))
}

/// The database as a target of migrations.
struct Database<'a> {
    client: &'a mut Client,
    connector: &'a Connector,
}

impl Target for Database<'_> {
    fn place(&self) -> String {
        self.connector.place()
    }

    fn create_table(&mut self) -> Result<(), StoreError> {
        let sql = translate(migration::CREATE_TABLE, Engine::Postgres);
        self.client.batch_execute(&sql).map_err(|error| engine_error(&error, &sql))
    }

    fn applied(&mut self, component: &'static str) -> Result<Vec<Applied>, StoreError> {
        let mut read = || -> Result<Vec<Applied>, postgres::Error> {
            let exists = "SELECT to_regclass('hiroba_migration') IS NOT NULL";
            if !self.client.query_one(exists, &[])?.try_get::<_, bool>(0)? {
                return Ok(Vec::new());
            }
            let rows = self.client.query(migration::SELECT_APPLIED, &[&component])?;
            rows.iter()
                .map(|row| {
                    let version = u32::try_from(row.try_get::<_, i64>(0)?).unwrap_or(u32::MAX);
                    Ok(Applied { version, checksum: row.try_get(1)? })
                })
                .collect()
        };
        read().map_err(|error| engine_error(&error, "hiroba_migration"))
    }

    fn apply(&mut self, component: &'static str, migration: &Migration) -> Result<(), StoreError> {
        let (version, checksum) = (i64::from(migration.version), migration::checksum(migration.sql));
        let apply = |client: &mut Client| -> Result<(), postgres::Error> {
            let mut transaction = client.transaction()?;
            transaction.batch_execute(&translate(migration.sql, Engine::Postgres))?;
            let row: [&(dyn postgres::types::ToSql + Sync); 4] =
                [&component, &version, &migration.name, &checksum];
            transaction.execute(migration::INSERT_APPLIED, &row)?;
            transaction.commit()
        };
        let context = format!("{component} migration {version} ({})", migration.name);
        apply(self.client).map_err(|error| engine_error(&error, &context))
    }
}
