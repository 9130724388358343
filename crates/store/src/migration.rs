//! Forward-only schema versions.
//!
//! Each is applied in a transaction of its own and recorded with a checksum of its text. The store's own tables are
//! migrated the same way, before the caller's and counted apart from them.

use crate::error::StoreError;

/// One step of the schema.
///
/// Its text is the same for both engines except for what the crate documentation lists under "Migrations". A
/// released migration never changes; a mistake in it is corrected by the next one.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Place in the order, from 1 upwards.
    pub version: u32,
    /// What it is about, for messages and the table of applied migrations.
    pub name: &'static str,
    /// One or more statements, separated by semicolons.
    pub sql: &'static str,
}

/// The table that records what was applied. Made outside of any version, since versions are recorded in it.
pub(crate) const CREATE_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS hiroba_migration (
        component TEXT NOT NULL,
        version BIGINT NOT NULL,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        PRIMARY KEY (component, version)
    )";
pub(crate) const SELECT_APPLIED: &str =
    "SELECT version, checksum FROM hiroba_migration WHERE component = $1 ORDER BY version";
pub(crate) const INSERT_APPLIED: &str =
    "INSERT INTO hiroba_migration (component, version, name, checksum) VALUES ($1, $2, $3, $4)";

/// Component name of the store's own tables.
pub(crate) const STORE: &str = "store";
/// Component name of the caller's tables.
pub(crate) const SERVER: &str = "server";

/// A row of the table of applied migrations.
pub(crate) struct Applied {
    pub(crate) version: u32,
    pub(crate) checksum: String,
}

/// What an engine does to bring a schema up to date.
pub(crate) trait Target {
    /// File or database for messages.
    fn place(&self) -> String;
    /// Makes the table of applied migrations.
    fn create_table(&mut self) -> Result<(), StoreError>;
    /// Reads what was applied; nothing when there is no such table.
    fn applied(&mut self, component: &'static str) -> Result<Vec<Applied>, StoreError>;
    /// Applies one migration and records it, whole or not at all.
    fn apply(&mut self, component: &'static str, migration: &Migration) -> Result<(), StoreError>;
}

/// Brings the store's own tables and the caller's up to date. The caller of this holds the engine's lock.
///
/// Nothing is changed unless everything that was applied is known.
pub(crate) fn migrate(
    target: &mut dyn Target,
    own: &[Migration],
    server: &[Migration],
) -> Result<(), StoreError> {
    let mut steps = Vec::new();
    for (component, known) in [(STORE, own), (SERVER, server)] {
        let applied = target.applied(component)?;
        steps.extend(
            pending(&target.place(), component, known, &applied)?.iter().map(|step| (component, step)),
        );
    }
    if steps.is_empty() {
        return Ok(());
    }
    target.create_table()?;
    for (component, step) in steps {
        target.apply(component, step)?;
    }
    Ok(())
}

/// The migrations that are still to be applied. What was applied must be a beginning of what is known.
fn pending<'m>(
    place: &str,
    component: &'static str,
    known: &'m [Migration],
    applied: &[Applied],
) -> Result<&'m [Migration], StoreError> {
    let mut previous = 0;
    for migration in known {
        if migration.version <= previous {
            let (version, name) = (migration.version, migration.name);
            return Err(StoreError::MigrationOrder(format!(
                "{version} ({name}) comes after version {previous}"
            )));
        }
        previous = migration.version;
    }
    let found = applied.last().map_or(0, |applied| applied.version);
    if found > previous {
        return Err(StoreError::NewerSchema { place: place.to_owned(), component, found, known: previous });
    }
    for (applied, migration) in applied.iter().zip(known) {
        if applied.version != migration.version {
            return Err(StoreError::MigrationOrder(format!(
                "{place} has {component} version {}, where this program has version {}",
                applied.version, migration.version
            )));
        }
        if applied.checksum != checksum(migration.sql) {
            let (version, name) = (migration.version, migration.name);
            return Err(StoreError::ChangedMigration { place: place.to_owned(), component, version, name });
        }
    }
    Ok(&known[applied.len()..])
}

/// Tells an edited text from the applied one. Carriage returns do not count: a checkout may add them.
pub(crate) fn checksum(sql: &str) -> String {
    format!("{:016x}", fnv1a(sql.bytes().filter(|byte| *byte != b'\r')))
}

/// The 64-bit FNV-1a hash: the same in every build and on every node, unlike the standard library's.
pub(crate) fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration { version: 1, name: "one", sql: "a" };
    const TWO: Migration = Migration { version: 2, name: "two", sql: "b" };
    const FIVE: Migration = Migration { version: 5, name: "five", sql: "c" };

    fn run(known: &[Migration], applied: &[(u32, &str)]) -> Result<Vec<u32>, StoreError> {
        let applied: Vec<_> = applied
            .iter()
            .map(|(version, sql)| Applied { version: *version, checksum: checksum(sql) })
            .collect();
        pending("here", SERVER, known, &applied).map(|steps| steps.iter().map(|step| step.version).collect())
    }

    #[test]
    fn only_what_is_missing_is_pending() {
        assert_eq!(run(&[ONE, TWO, FIVE], &[]), Ok(vec![1, 2, 5]));
        assert_eq!(run(&[ONE, TWO, FIVE], &[(1, "a")]), Ok(vec![2, 5]));
        assert_eq!(run(&[ONE, TWO, FIVE], &[(1, "a"), (2, "b"), (5, "c")]), Ok(vec![]));
        assert_eq!(run(&[], &[]), Ok(vec![]));
    }

    #[test]
    fn a_newer_schema_is_refused_and_both_versions_named() {
        let error = run(&[ONE, TWO], &[(1, "a"), (2, "b"), (5, "c")]).unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 5, known: 2, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("version 5") && text.contains("up to 2"), "{text}");
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(matches!(run(&[TWO, ONE], &[]), Err(StoreError::MigrationOrder(_))));
        assert!(matches!(run(&[ONE, ONE], &[]), Err(StoreError::MigrationOrder(_))));
        assert!(matches!(run(&[ONE, FIVE], &[(2, "b")]), Err(StoreError::MigrationOrder(_))));
        assert!(matches!(run(&[ONE], &[(1, "z")]), Err(StoreError::ChangedMigration { version: 1, .. })));
    }

    #[test]
    fn line_ends_do_not_change_a_checksum() {
        assert_eq!(checksum("a\r\nb"), checksum("a\nb"));
        assert_ne!(checksum("a\nb"), checksum("a b"));
    }
}
